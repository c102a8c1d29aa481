"""Reads the tars that Postgres writes, and only those: whatever else is in one is refused.

Postgres writes ustar headers for files, folders and the links of tablespaces (`tarCreateHeader` in
src/port/tar.c), sizes beyond 8 GB in base 256, and no extended headers at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from agent.printable import safe
from backup.fields import Malformed

BLOCK_BYTES = 512
_LONGEST_PATH = 255


class MemberKind(StrEnum):
    """What a member is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"


_KINDS = {
    b"0": MemberKind.FILE,
    b"\0": MemberKind.FILE,
    b"5": MemberKind.FOLDER,
    b"2": MemberKind.LINK,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member; ``pieces`` must be read before the next member is asked for."""

    path: str  # relative, without "..", safe to join
    kind: MemberKind
    size_bytes: int
    link: str
    pieces: Iterator[bytes]


def members(source: Iterable[bytes]) -> Iterator[Member]:
    """Go through a tar; raise Malformed at what Postgres would not have written."""
    blocks = _Blocks(source)
    while header := blocks.take(BLOCK_BYTES):
        if not header.strip(b"\0"):
            blocks.only_zeros()
            return
        member = _member(header, blocks)
        yield member
        for _ in member.pieces:  # what nobody read
            pass
        blocks.skip(-member.size_bytes % BLOCK_BYTES)


def _member(header: bytes, blocks: _Blocks) -> Member:
    if header[257:262] != b"ustar" or _checksum(header) != _number(header[148:156]):
        raise Malformed("the tar has a header that is none")
    kind = _KINDS.get(header[156:157])
    name = _text(header[:100])
    prefix = _text(header[345:500])
    path = safe_path(f"{prefix}/{name}" if prefix else name)
    if kind is None:
        raise Malformed(f"the tar holds {safe(path)}, which is neither file nor folder")
    size_bytes = _number(header[124:136]) if kind is MemberKind.FILE else 0
    return Member(path, kind, size_bytes, _text(header[157:257]), blocks.pieces(size_bytes))


def safe_path(name: str) -> str:
    """Return a relative path that stays where it is put, or raise Malformed."""
    steps = [step for step in name.split("/") if step not in ("", ".")]
    if name.startswith("/") or ".." in steps or "\0" in name or len(name) > _LONGEST_PATH:
        raise Malformed(f"the tar holds {safe(name)}, which would be written elsewhere")
    return "/".join(steps)


def _checksum(header: bytes) -> int:
    """The sum of all bytes, those of the checksum itself counted as spaces."""
    return sum(header) - sum(header[148:156]) + 8 * 0x20


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b"\0 ")
    if not digits.isdigit() or set(digits) & set(b"89"):
        raise Malformed("the tar has a header without a size")
    return int(digits, 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


class _Blocks:
    """The bytes of a stream, as many at a time as asked for."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._source = iter(source)
        self._held = memoryview(b"")

    def take(self, count: int) -> bytes:
        """Exactly so many bytes, or none at the end."""
        taken = b"".join(self._up_to(count))
        if taken and len(taken) < count:
            raise Malformed("the tar is cut short")
        return taken

    def pieces(self, count: int) -> Iterator[bytes]:
        """A file's content."""
        for piece in self._up_to(count):
            count -= len(piece)
            yield piece
        if count:
            raise Malformed("the tar is cut short within a file")

    def skip(self, count: int) -> None:
        """Pass over padding."""
        if count and not self.take(count):
            raise Malformed("the tar is cut short")

    def only_zeros(self) -> None:
        """Read to the end; raise where something follows the end mark."""
        while piece := next(self._up_to(1 << 20), b""):
            if piece.strip(b"\0"):
                raise Malformed("the tar goes on after its end")

    def _up_to(self, count: int) -> Iterator[bytes]:
        while count:
            while not self._held:
                following = next(self._source, None)
                if following is None:
                    return
                self._held = memoryview(following)
            piece = bytes(self._held[:count])
            self._held = self._held[len(piece) :]
            count -= len(piece)
            yield piece
