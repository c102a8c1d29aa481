"""Collects a bundle on a node: journal, ring, events, pods and node, in the form ``why`` reads.

Only entries that some rule may want are taken, and of pods nothing that may hold a secret:
environment, arguments and annotations stay behind.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.daemon.backups import Backups
from agent.daemon.state import load_past
from agent.errors import UserError
from agent.journal.live import Begin, JournalPlace, LiveJournal
from agent.kube.answers import Broken, Call, Refusal
from agent.kube.http import Api
from agent.model import BlindSpot, Record
from agent.recorder.host import Host
from agent.sources.bundle import BUNDLE_SCHEMA
from agent.sources.fact_rows import STATED, fact_row
from agent.sources.json_list import ListReader
from agent.sources.untyped import text
from agent.times import rfc3339

_READER_STARTS_S = 5.0
_READ_S = 0.25
_LONGEST_S = 600.0
_SECRET_SPEC = ("env", "envFrom", "command", "args", "volumeMounts")
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when."""

    from_s: float
    to_s: float


@dataclass(slots=True)
class Parts:
    """The files of a bundle, by name, and what of it could not be had."""

    files: dict[str, bytes] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    blind: list[BlindSpot] = field(default_factory=list)
    node: str = ""

    def add(self, name: str, content: bytes, source: str) -> None:
        """Add one file."""
        self.files[name] = content
        self.sources.append(source)

    def missing(self, source: str, why: str) -> None:
        """Say that something could not be had."""
        self.blind.append(BlindSpot(source, why))


def collect_journal(parts: Parts, place: JournalPlace, matches: tuple[str, ...], span: Span) -> int:
    """Read the journal's slice through the reader child; return how many entries."""
    lines: list[str] = []
    until_s = time.monotonic() + _LONGEST_S
    with LiveJournal(place, Begin(since_s=span.from_s), matches, time.monotonic) as journal:
        while time.monotonic() < until_s:
            for item in journal.read(_READ_S):
                if isinstance(item, BlindSpot):
                    parts.blind.append(item)
                elif item.at_s is not None and item.at_s <= span.to_s:
                    lines.append(json.dumps(entry_of(item)))
            past_end = journal.newest_s is not None and journal.newest_s > span.to_s
            if journal.caught_up or past_end:
                break
        else:
            parts.missing("journal", "it took too long to read")
    packed = gzip.compress("\n".join([*lines, ""]).encode(), 6)
    parts.add("journal.json.gz", packed, "journal")
    return len(lines)


def entry_of(record: Record) -> dict[str, str]:
    """Give a record as ``journalctl -o json`` prints it."""
    fields = {name: value for name, value in record.fields.items() if name not in ("RAW", "LEVEL")}
    at_us = round((record.at_s or 0.0) * 1e6)
    said = record.fields.get("RAW", record.message)
    known = {"__REALTIME_TIMESTAMP": str(at_us), "_BOOT_ID": record.boot, "MESSAGE": said}
    return {**known, **fields}


def collect_ring(parts: Parts, ring: Path) -> None:
    """Copy the recorder's ring; a record that is being written is torn, and known as such."""
    try:
        parts.add("recorder.ring.gz", gzip.compress(ring.read_bytes(), 6), "recorder")
    except OSError as error:
        parts.missing("recorder", f"{ring}: {error.strerror or error}")


def collect_kube(parts: Parts, api: Api, node: str) -> None:
    """Ask for the node's pods, the events about them, and the node itself."""
    pods = _asked(parts, api, "pods", (("fieldSelector", f"spec.nodeName={node}"),))
    if pods is not None:
        lean = [lean_pod(one) for one in pods]
        parts.add("pods.json.gz", _listed(lean), "pods")
    names = {(text(p, "metadata", "namespace"), text(p, "metadata", "name")) for p in pods or ()}
    events = _asked(parts, api, "events", (("limit", "500"),))
    if events is not None:
        ours = [one for one in events if _concerns(one, node, names)]
        parts.add("events.json.gz", _listed(ours), "events")
    nodes = _asked(parts, api, "nodes", (("fieldSelector", f"metadata.name={node}"),))
    if nodes is not None:
        parts.add("nodes.json.gz", _listed([lean_node(one) for one in nodes]), "nodes")


def collect_files(parts: Parts, given: Mapping[str, Path | None]) -> None:
    """Take files as ``kubectl get … -o json`` printed them."""
    for source, path in given.items():
        if path is not None:
            parts.add(f"{source}.json.gz", gzip.compress(path.read_bytes(), 6), source)


def add_meta(parts: Parts, host: Host, state: Path, now_s: float) -> None:
    """Add what holds the rest together; last, since it names what is missing."""
    past = load_past(state)
    stated = [one for one in past.facts.values() if one.kind in STATED]
    stated += Backups(host).look(now_s, (), titles=False)
    meta = {
        "schema": BUNDLE_SCHEMA,
        "node": parts.node,
        "collected_at": rfc3339(now_s),
        "sources": sorted(set(parts.sources)),
        "blind": [
            {
                "source": spot.source,
                "why": spot.why,
                "from": rfc3339(spot.from_s),
                "to": rfc3339(spot.to_s),
            }
            for spot in parts.blind
        ],
        "facts": [fact_row(one) for one in stated],
    }
    parts.files["meta.json"] = json.dumps(meta, indent=1).encode() + b"\n"


def write_bundle(parts: Parts, out: Path) -> None:
    """Write a folder, or an archive when the name says so: .tar, .tar.gz, .tar.zst."""
    if not out.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.zst")):
        out.mkdir(parents=True, exist_ok=True)
        for name, content in parts.files.items():
            (out / name).write_bytes(content)
        return
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in sorted(parts.files.items()):
            info = tarfile.TarInfo(f"bundle/{name}")
            info.size, info.mode = len(content), 0o600
            tar.addfile(info, io.BytesIO(content))
    half = out.with_name(f".{out.name}.half")
    half.write_bytes(_compressor(out)(packed.getvalue()))
    half.replace(out)


def _compressor(out: Path) -> Callable[[bytes], bytes]:
    if out.name.endswith(".tar.zst"):
        try:
            import zstandard
        except ImportError:
            hint = "pip install 'knockon[zstd]', or name it .tar.gz"
            raise UserError("zstd is not installed", hint) from None
        return zstandard.ZstdCompressor().compress
    return bytes if out.name.endswith(".tar") else gzip.compress


def _asked(
    parts: Parts, api: Api, resource: str, query: tuple[tuple[str, str], ...]
) -> list[Object] | None:
    found: list[Object] = []
    page = ""
    while True:
        more = (("continue", page),) if page else ()
        answer = api.open(Call("list", resource, f"/api/v1/{resource}", (*query, *more)), 60.0)
        if isinstance(answer, Refusal):
            parts.missing(resource, f"the API server refused: {answer.why}")
            return None
        reader = ListReader(answer.pieces())
        try:
            found += list(reader)
        except (Broken, ValueError, RecursionError) as error:
            parts.missing(resource, f"the API server's answer broke off: {error}")
            return None
        page = reader.next_page
        if not page:
            return found


def _concerns(event: Object, node: str, pods: set[tuple[str, str]]) -> bool:
    about = event.get("involvedObject") or event.get("regarding") or {}
    hosts = (text(event, "source", "host"), text(event, "reportingInstance"))
    kind, name = text(about, "kind"), text(about, "name")
    return (
        (kind == "Node" and name == node)
        or (kind == "Pod" and (text(about, "namespace"), name) in pods)
        or node in hosts
    )


def lean_pod(thing: Object) -> dict[str, Any]:
    """Give a pod without what may be secret and what nobody reads."""
    meta = {
        name: value
        for name, value in dict(thing.get("metadata") or {}).items()
        if name not in ("annotations", "managedFields")
    }
    spec = dict(thing.get("spec") or {})
    kept = {
        name: spec[name]
        for name in ("nodeName", "hostNetwork", "priorityClassName", "restartPolicy")
        if name in spec
    }
    for group in ("containers", "initContainers"):
        with suppress(TypeError, AttributeError):
            kept[group] = [
                {key: value for key, value in one.items() if key not in _SECRET_SPEC}
                for one in spec.get(group, ())
            ]
    return {"kind": "Pod", "metadata": meta, "spec": kept, "status": thing.get("status") or {}}


def lean_node(thing: Object) -> dict[str, Any]:
    """Give a node without its annotations and images."""
    meta = dict(thing.get("metadata") or {})
    status = {k: v for k, v in dict(thing.get("status") or {}).items() if k != "images"}
    kept = {name: meta[name] for name in ("name", "uid", "labels") if name in meta}
    spec = thing.get("spec") or {}
    return {"kind": "Node", "metadata": kept, "spec": spec, "status": status}


def _listed(things: list[Any]) -> bytes:
    document = {"apiVersion": "v1", "kind": "List", "items": things}
    return gzip.compress(json.dumps(document).encode(), 6)
