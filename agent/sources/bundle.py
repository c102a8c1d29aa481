"""Opens a bundle: a directory, an archive or a single file of what is left of an incident.

Every part but one of journal, events or a pasted log is optional; what is missing is said. Times
and names in it are what the files say: a bundle is as trustworthy as whoever collected it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import UserError
from agent.model import BlindSpot, Fact, Pod, Probe, Record, Sample
from agent.recorder.ring_read import load_ring
from agent.sources.backup_log import Paced, read_backup_log
from agent.sources.bundle_files import Files, Member, files_of
from agent.sources.bundle_logs import Span, first_record, read_log, widest
from agent.sources.bundle_node import agree, node_name
from agent.sources.fact_rows import stated_facts
from agent.sources.file_kinds import FileKind, is_log_name, kind_of_file
from agent.sources.journal_fields import Interesting
from agent.sources.kubectl import (
    NodeInfo,
    Object,
    event_record,
    kind_of,
    node_of,
    pods_of,
    read_objects,
)
from agent.sources.object_facts import node_facts, pod_facts
from agent.sources.samples import read_pressure, read_probes
from agent.sources.stamps import iso_s
from agent.sources.untyped import objects, text

BUNDLE_SCHEMA = "knockon.bundle/v1"
_KNOWN_SCHEMAS = ("", BUNDLE_SCHEMA, "1", "v1", "knockon/v1")
_MAX_OBJECTS_BYTES = 256 << 20  # of one JSON file: it is held in memory
_RECORDS = (FileKind.JOURNAL_EXPORT, FileKind.JOURNAL_JSON, FileKind.TEXT)
_WHAT_IT_HOLDS = "a bundle holds journal.export or events.json; see `knockon bundle --help`"


@dataclass(slots=True, weakref_slot=True)
class Bundle:
    """What is left of an incident: small parts read, the journal ready to be streamed."""

    path: Path
    node: str = ""
    meta: Mapping[str, object] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    nodes: tuple[NodeInfo, ...] = ()
    pod_facts: tuple[Fact, ...] = ()
    node_facts: tuple[Fact, ...] = ()
    events: tuple[Record, ...] = ()
    samples: tuple[Sample, ...] = ()
    probes: tuple[Probe, ...] = ()
    paced: tuple[Paced, ...] = ()  # what a governed backup was allowed
    blind: list[BlindSpot] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    now_s: float = 0.0  # what ages in pasted text are relative to
    logs: list[tuple[Member, FileKind]] = field(default_factory=list)
    _files: Files | None = None
    _window: Span | None = None

    def records(self, interesting: Interesting | None = None) -> Iterator[Record | BlindSpot]:
        """The journal in its own order, then pasted logs, then events by time.

        ``interesting`` is a cheap test on a raw journal entry; most should fail it.
        """
        spans: list[Span] = []
        for member, kind in self.logs:
            yield from read_log(member, kind, (interesting, self.now_s, spans))
        self._window = widest(spans)
        yield from self.events

    @property
    def window(self) -> Span:
        """First and last time of the journal (or the pasted log, or else the events)."""
        if self._window is None:
            for _ in self.records(_nothing):
                pass
        first_s, last_s = self._window or (None, None)
        if first_s is None:
            times = [event.at_s for event in self.events if event.at_s is not None]
            return min(times, default=None), max(times, default=None)
        return first_s, last_s

    def close(self) -> None:
        """Forget an unpacked archive."""
        if self._files is not None:
            self._files.close()


def open_bundle(path: Path, *, now_s: float | None = None) -> Bundle:
    """Open what lies at ``path``; ages in it are relative to ``now_s``, else to the file's time."""
    files = files_of(path)
    kinds = [(member, kind_of_file(member.name, member.head())) for member in files.members]
    alone = len(kinds) == 1 and not path.is_dir()
    bundle = Bundle(path, _files=files, now_s=path.stat().st_mtime if now_s is None else now_s)
    bundle.logs = [
        (member, kind)
        for member, kind in kinds
        if kind in _RECORDS and (kind is not FileKind.TEXT or alone or is_log_name(member.name))
    ]
    try:
        _refuse_strangers(path, kinds, bundle)
        parts = _Parts(bundle)
        for member, kind in kinds:
            parts.add(member, kind)
        parts.finish()
    except UserError:
        bundle.close()
        raise
    return bundle


def _nothing(_: bytes) -> bool:
    return False


def _refuse_strangers(path: Path, kinds: list[tuple[Member, FileKind]], bundle: Bundle) -> None:
    found = {kind for _, kind in kinds}
    if bundle.logs or FileKind.OBJECTS in found:
        return
    if FileKind.JOURNAL_BINARY in found:
        hint = "export it first: journalctl --file FILE -o export > journal.export"
        raise UserError(f"{path} is a journal in systemd's own format", hint)
    if not kinds:
        raise UserError(f"{path} is empty", _WHAT_IT_HOLDS)
    if found == {FileKind.EMPTY}:
        raise UserError(f"nothing is in {path}", "was journalctl allowed to read the journal?")
    if found == {FileKind.BINARY}:
        raise UserError(f"{path} is neither a log nor a bundle", _WHAT_IT_HOLDS)
    raise UserError(f"{path} holds neither a journal nor events", _WHAT_IT_HOLDS)


class _Parts:
    """Collects the small parts of a bundle from its files."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._pods: list[Object] = []
        self._gone: list[Object] = []  # from a listing made before the incident
        self._nodes: list[tuple[Object, str]] = []
        self._events: list[Record] = []
        self._rings: list[Member] = []

    def add(self, member: Member, kind: FileKind) -> None:
        """Read one file, unless it is a journal, a log or none of ours."""
        bundle = self._bundle
        if kind is FileKind.META:
            bundle.meta = _meta(self._whole(member), member.name)
        elif kind is FileKind.OBJECTS:
            self._objects(member)
        elif kind is FileKind.PRESSURE:
            samples, blind = read_pressure(self._lines(member), member.name)
            bundle.samples += samples
            bundle.blind += blind
        elif kind is FileKind.PROBES:
            probes, blind = read_probes(self._lines(member), member.name)
            bundle.probes += probes
            bundle.blind += blind
        elif kind is FileKind.BACKUP_LOG:
            bundle.paced += read_backup_log(self._lines(member))
        elif kind is FileKind.RING:
            self._rings.append(member)
        elif kind is FileKind.EMPTY or (kind is FileKind.BINARY and member.name != "README"):
            why = "is empty" if kind is FileKind.EMPTY else "is in a form this version cannot read"
            bundle.blind.append(BlindSpot("bundle", f"{member.name} {why}"))

    def _whole(self, member: Member) -> bytes:
        stream, careful = member.open()
        with stream:
            raw = stream.read(_MAX_OBJECTS_BYTES)
            if stream.read(1):
                why = f"only the first {_MAX_OBJECTS_BYTES >> 20} MiB of {member.name} are read"
                self._bundle.blind.append(BlindSpot("bundle", why))
        if careful.fault:
            why = f"{member.name} is cut short: {careful.fault}"
            self._bundle.blind.append(BlindSpot("bundle", why))
        return raw

    def _lines(self, member: Member) -> list[str]:
        return self._whole(member).decode("utf-8", "replace").splitlines()

    def _objects(self, member: Member) -> None:
        before = "before" in member.name
        for number, thing in enumerate(read_objects(self._whole(member), member.name), start=1):
            if isinstance(thing, BlindSpot):
                self._bundle.blind.append(thing)
                continue
            kind = kind_of(thing)
            if kind == "Event":
                self._events.append(event_record(thing, f"{member.name}#{number}"))
            elif kind == "Pod":
                (self._gone if before else self._pods).append(thing)
            elif kind == "Node" and not before:
                self._nodes.append((thing, f"{member.name}#{number}"))

    def _recorded(self, ring: Member) -> None:
        """The flight recorder's ring; pods it did not know are named from the listing."""
        bundle = self._bundle
        names = {pod.uid: (pod.namespace, pod.name) for pod in bundle.pods if pod.uid}
        try:
            recording = load_ring(self._whole(ring), parts=False, names=names)
        except UserError as error:
            bundle.blind.append(BlindSpot("recorder", f"{ring.name}: {error.message}"))
            return
        bundle.samples += recording.samples
        bundle.probes += recording.probes
        bundle.blind += recording.blind
        bundle.missing += recording.limits

    def finish(self) -> None:
        """Join the parts, name the node and say what is missing."""
        bundle = self._bundle
        here = {text(pod, "metadata", "uid") for pod in self._pods}
        gone = [pod for pod in self._gone if text(pod, "metadata", "uid") not in here]
        bundle.pods = pods_of(self._pods) + pods_of(gone)
        for ring in self._rings:
            self._recorded(ring)
        bundle.nodes = tuple(node_of(node) for node, _ in self._nodes)
        bundle.events = tuple(sorted(self._events, key=_event_order))
        first = first_record(bundle.logs)
        if first is None and not self._events and not bundle.pods:
            hint = "was journalctl allowed to read the journal, and the time span right?"
            raise UserError(f"{bundle.path} holds no entries", hint)
        bundle.node = node_name(bundle.meta, bundle.nodes, bundle.pods, first)
        bundle.blind += agree(bundle.meta, bundle.nodes, bundle.pods, first)
        bundle.blind += _meta_blind(bundle.meta)
        self._facts()
        self._missing(first)

    def _facts(self) -> None:
        """Facts of this node's objects; those of the other nodes of a cluster are not ours."""
        bundle = self._bundle
        known = bundle.node in {info.name for info in bundle.nodes}
        bundle.node_facts = tuple(
            fact
            for node, where in self._nodes
            if not known or text(node, "metadata", "name") == bundle.node
            for fact in node_facts(node, where)
        ) + tuple(stated_facts(bundle.meta))
        on_nodes = {pod.node for pod in bundle.pods}
        bundle.pod_facts = tuple(
            fact
            for pod in self._pods
            if bundle.node not in on_nodes or text(pod, "spec", "nodeName") in ("", bundle.node)
            for fact in pod_facts(pod, "pods")
        )

    def _missing(self, first: Record | None) -> None:
        bundle = self._bundle
        parts = (
            ("journal of the node", first),
            ("Kubernetes events", bundle.events),
            ("pods (kubectl get pods -o json)", bundle.pods),
            ("nodes (kubectl get nodes -o json)", bundle.nodes),
            ("flight recorder's minutes before", bundle.samples),
            ("runtime probe", bundle.probes),
        )
        bundle.missing += [name for name, found in parts if not found]


def _event_order(event: Record) -> float:
    return event.at_s if event.at_s is not None else float("inf")


def _meta(raw: bytes, name: str) -> Mapping[str, object]:
    try:
        meta = json.loads(raw.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise UserError(f"{name} is not JSON", "mend it or leave it out: it is optional") from None
    if not isinstance(meta, dict):
        raise UserError(f"{name} holds no object", "mend it or leave it out: it is optional")
    schema = meta.get("schema", meta.get("schema_version", ""))
    if isinstance(schema, list | dict) or str(schema) not in _KNOWN_SCHEMAS:
        hint = f"this version reads {BUNDLE_SCHEMA}; use the version that wrote it, or a newer one"
        raise UserError(f"{name} has the unknown schema {str(schema)[:60]!r}", hint)
    return meta


def _meta_blind(meta: Mapping[str, object]) -> Iterator[BlindSpot]:
    for one in objects(meta, "blind") + objects(meta, "blind_spots"):
        from_s, to_s = (_moment(one.get(key)) for key in ("from", "to"))
        yield BlindSpot(text(one, "source") or "bundle", text(one, "why"), from_s, to_s)


def _moment(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return iso_s(value)
