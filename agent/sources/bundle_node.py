"""Which node a bundle is of, and whether its parts agree about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.model import BlindSpot, Pod, Record
from agent.sources.kubectl import NodeInfo
from agent.sources.untyped import text


def node_name(
    meta: Mapping[str, object],
    nodes: tuple[NodeInfo, ...],
    pods: tuple[Pod, ...],
    first: Record | None,
) -> str:
    """The node's name as Kubernetes knows it, else the journal's host name."""
    if stated := text(meta, "node"):
        return stated
    host = _host(first)
    known = _of_journal(nodes, first)
    if known is not None:
        return known.name
    if len(nodes) == 1:
        return nodes[0].name
    names = sorted({pod.node for pod in pods if pod.node})
    same = [name for name in names if same_host(name, host)]
    if same or len(names) == 1:
        return (same or names)[0]
    return host


def agree(
    meta: Mapping[str, object],
    nodes: tuple[NodeInfo, ...],
    pods: tuple[Pod, ...],
    first: Record | None,
) -> Iterator[BlindSpot]:
    """Each part that is of another node than the journal."""
    host = _host(first)
    if not host:
        return
    known = _of_journal(nodes, first)
    names = {host, known.name} if known else {host}
    stated = text(meta, "node")
    if stated and not any(same_host(stated, name) for name in names):
        yield _differ(host, f"meta.json names {stated}")
    if nodes and known is None:
        yield _differ(host, f"nodes.json is of {_few(info.name for info in nodes)}")
    on_nodes = {pod.node for pod in pods if pod.node}
    if on_nodes and not any(same_host(one, name) for one in on_nodes for name in names):
        yield _differ(host, f"the pods ran on {_few(on_nodes)}")


def _differ(host: str, other: str) -> BlindSpot:
    return BlindSpot(
        "bundle", f"the journal is of {host}, but {other}: parts may not belong together"
    )


def _few(names: Iterator[str] | set[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def _host(first: Record | None) -> str:
    return "" if first is None else first.fields.get("_HOSTNAME", "")


def _of_journal(nodes: tuple[NodeInfo, ...], first: Record | None) -> NodeInfo | None:
    """The node whose journal it is: by machine id where both state it, else by name."""
    if first is None:
        return None
    machine, host = first.fields.get("_MACHINE_ID", ""), _host(first)
    for info in nodes:
        if machine and info.machine and info.machine == machine:
            return info
    for info in nodes:
        told_apart = machine and info.machine and info.machine != machine
        if same_host(info.name, host) and not told_apart:
            return info
    return None


def same_host(one: str, other: str) -> bool:
    """Whether two names are one host, where one of them may lack its domain."""
    short, other_short = one.lower().split(".", 1)[0], other.lower().split(".", 1)[0]
    return bool(short) and short == other_short
