"""Group the victims by owner, and say what each lost: an outage, or members of a quorum."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.model import Pod, Victim
from agent.words import counted

_ORDINAL = re.compile(r"-(\d{1,5})$")
_INTERRUPTED = frozenset({"Job", "CronJob"})
_STATIC = "Node"  # the kubelet's own pods: kube-proxy and friends


@dataclass(frozen=True, slots=True)
class OwnerDamage:
    """What one owner lost: ``hurt`` of ``members`` (None when nobody can know)."""

    owner: str  # "StatefulSet/pg"; empty for a pod that stands alone
    namespace: str
    pods: tuple[str, ...]
    hurt: int
    members: int | None
    impact: str
    harms: tuple[str, ...] = ()
    severity: int = 0  # 3 outage, 2 majority lost, 1 degraded, 0 no service lost


@dataclass(frozen=True, slots=True)
class _Known:
    """The pods of the input, looked up once; one node's pods prove nothing about a whole owner."""

    by_owner: Mapping[tuple[str, str], Sequence[Pod]]
    names: frozenset[tuple[str, str]]
    several_nodes: bool

    @classmethod
    def of(cls, pods: Sequence[Pod]) -> _Known:
        by_owner: dict[tuple[str, str], list[Pod]] = {}
        for pod in pods:
            by_owner.setdefault((pod.namespace, pod.owner), []).append(pod)
        names = frozenset((pod.namespace, pod.name) for pod in pods)
        return cls(by_owner, names, len({pod.node for pod in pods if pod.node}) > 1)


def damage(victims: Sequence[Victim], pods: Sequence[Pod]) -> tuple[OwnerDamage, ...]:
    """Group victims by owner, the worst hit first."""
    groups: dict[tuple[str, str], list[Victim]] = {}
    for victim in victims:
        alone = "" if victim.owner else victim.pod
        groups.setdefault((victim.namespace, victim.owner or alone), []).append(victim)
    known = _Known.of(pods)
    found = [_owner_damage(group, known) for group in groups.values()]
    return tuple(sorted(found, key=lambda d: (-d.severity, -d.hurt, d.namespace, d.owner, d.pods)))


def _owner_damage(group: Sequence[Victim], known: _Known) -> OwnerDamage:
    owner, namespace = group[0].owner, group[0].namespace
    names = tuple(sorted({victim.pod for victim in group}))
    members, certain = _members(owner, namespace, names, known)
    if not owner and (namespace, names[0]) not in known.names:
        severity, impact = 1, "its owner is not known here"
    else:
        severity, impact = _impact(owner, len(names), members)
    if severity == 3 and not certain:
        impact += ", as far as can be seen here"
    elif severity == 2 and not certain:  # with more members than are seen, a majority may be left
        severity, impact = 1, f"{len(names)} of at least {members} members hurt"
    return OwnerDamage(
        owner=owner,
        namespace=namespace,
        pods=names,
        hurt=len(names),
        members=members,
        impact=impact,
        harms=tuple(sorted({victim.harm for victim in group if victim.harm})),
        severity=severity,
    )


def _members(
    owner: str, namespace: str, hurt: Sequence[str], known: _Known
) -> tuple[int | None, bool]:
    """Count an owner's members, and say whether that count is certain."""
    siblings = known.by_owner.get((namespace, owner), []) if owner else []
    hint = max((pod.replicas_hint for pod in siblings), default=0)
    if hint > 0:
        return max(hint, len(hurt)), True
    names = {pod.name for pod in siblings} | set(hurt)
    highest = 0
    if owner.startswith("StatefulSet/"):  # pg-2 hurt means that pg-0 and pg-1 were made before it
        ordinals = (_ORDINAL.search(name) for name in names)
        highest = max((int(found[1]) + 1 for found in ordinals if found), default=0)
    if not siblings:
        return (highest if highest > len(hurt) else None), False
    return max(highest, len(names)), known.several_nodes


def _impact(owner: str, hurt: int, members: int | None) -> tuple[int, str]:
    """Return severity 0..3 and one line on what was lost."""
    kind = owner.partition("/")[0]
    if not owner:
        return 1, "stands alone: no controller replaces it"
    if kind == "DaemonSet":
        return 0, "this node's copy only"
    if kind == _STATIC:
        return 0, "static pod of the node"
    if kind in _INTERRUPTED:
        return 1, "the run was interrupted"
    if members is None:
        return 1, f"{counted(hurt, 'member')} hurt; how many there are is not known"
    if hurt >= members:
        return 3, "outage: its only member" if members == 1 else f"outage: all {members} members"
    if kind == "StatefulSet" and (members - hurt) * 2 <= members:
        return 2, f"{hurt} of {members} members: majority lost, a quorum would stop"
    stayed = ", majority stayed" if kind == "StatefulSet" else f", {members - hurt} kept running"
    return 1, f"degraded: {hurt} of {members} members{stayed}"
