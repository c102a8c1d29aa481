"""Make the recorded journal fit to publish: own lines only, nothing of this machine in them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping

Entry = list[tuple[bytes, bytes]]


def entries(export: bytes) -> Iterator[Entry]:
    """Parse journal export format (systemd.io/JOURNAL_EXPORT_FORMATS), binary fields too."""
    at, entry = 0, Entry()
    while at < len(export):
        end = export.find(b"\n", at)
        if end < 0:
            break
        line = export[at:end]
        at = end + 1
        if not line:
            if entry:
                yield entry
            entry = []
        elif b"=" in line:
            name, _, value = line.partition(b"=")
            entry.append((name, value))
        else:
            size = int.from_bytes(export[at : at + 8], "little")
            entry.append((line, export[at + 8 : at + 8 + size]))
            at += 8 + size + 1
    if entry:
        yield entry


def serialise(kept: list[Entry]) -> bytes:
    """Write entries in journal export format."""
    out = bytearray()
    for entry in kept:
        for name, value in entry:
            if b"\n" in value:
                out += name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
            else:
                out += name + b"=" + value + b"\n"
        out += b"\n"
    return bytes(out)


def own_entries(found: Iterable[Entry], cgroup: str) -> Iterator[Entry]:
    """Leave out kernel lines but those of out-of-memory kills in the node's own cgroup.

    The kernel has one log for the whole machine: other nodes, other people, the time before.
    """
    block: list[Entry] = []
    for entry in found:
        fields = dict(entry)
        if fields.get(b"_TRANSPORT") != b"kernel":
            yield entry
            continue
        message = fields.get(b"MESSAGE", b"")
        if b" invoked oom-killer" in message:
            block = []
        elif not block:
            continue
        block.append(entry)
        if b"Killed process" in message:
            if any(cgroup.encode() in value for line in block for _, value in line):
                yield from block
            block = []


def scrubbed(entry: Entry, replacements: Mapping[str, str]) -> Entry:
    """Replace strings of this machine, longest first."""
    pairs = sorted(replacements.items(), key=lambda pair: -len(pair[0]))

    def clean(value: bytes) -> bytes:
        for found, instead in pairs:
            value = value.replace(found.encode(), instead.encode())
        return value

    return [(name, clean(value)) for name, value in entry]


def publishable(export: bytes, cgroup: str, replacements: Mapping[str, str]) -> list[Entry]:
    """Return the entries of a raw export that belong in a recording, in order and scrubbed."""
    own = sorted(own_entries(entries(export), cgroup), key=_realtime)
    return [scrubbed(entry, replacements) for entry in own]


def _realtime(entry: Entry) -> int:
    return int(dict(entry)[b"__REALTIME_TIMESTAMP"])


def packed(raw: bytes) -> bytes:
    """Compress the same bytes to the same file every time."""
    return gzip.compress(raw, 9, mtime=0)
