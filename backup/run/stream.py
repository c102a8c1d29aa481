"""Follows a tar while it passes: the size and SHA-256 of every file in it, nothing stored.

The server's manifest comes last; compared with what passed, it proves each file whole without a
second read of anybody's disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from backup.exits import Exit, Failure
from backup.postgres.manifest import PgManifest

_BLOCK = 512
_REGULAR = frozenset(b"0\0")
_MOST_TOLD = 5
# The server writes these into the tar and leaves them out of its list.
_UNLISTED = ("pg_wal/",)


@dataclass(frozen=True, slots=True)
class Passed:
    """One file that went by."""

    size_bytes: int
    sha256: str


class Members:
    """The members of one tar, fed in pieces of any size."""

    __slots__ = (
        "_hash",
        "_head",
        "_left",
        "_name",
        "_padding",
        "_prefix",
        "_size",
        "bytes",
        "seen",
    )

    def __init__(self, seen: dict[str, Passed], prefix: str = "") -> None:
        self.seen = seen
        self._prefix = prefix
        self._head = bytearray()
        self._left = 0  # of the file under way
        self._padding = 0
        self._name = ""
        self._size = 0
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        at, end = 0, len(data)
        view = memoryview(data)
        while at < end:
            if self._left:
                take = min(self._left, end - at)
                self._hash.update(view[at : at + take])
                self._left -= take
                if not self._left:
                    self._file_ends()
            elif self._padding:
                take = min(self._padding, end - at)
                self._padding -= take
            else:
                take = min(_BLOCK - len(self._head), end - at)
                self._head += view[at : at + take]
                if len(self._head) == _BLOCK:
                    self._member_begins(bytes(self._head))
                    self._head.clear()
            at += take

    def finish(self) -> None:
        """Say that no more comes; raises when a member is cut."""
        if self._left or self._padding or self._head:
            raise Failure(
                f"the archive from the server is cut within {self._name or 'a header'}",
                "run again; the server's log says why it stopped",
            )

    def _member_begins(self, head: bytes) -> None:
        if not head.strip(b"\0"):  # the blocks of zeros that end a tar
            return
        if head[257:262] != b"ustar":
            raise Failure("the archive from the server is no tar", "is a pooler in between?")
        size = _number(head[124:136])
        self._padding = -size % _BLOCK
        self._left = size
        regular = head[156] in _REGULAR
        self._name = self._prefix + _name(head) if regular else ""
        self._size = size
        self._hash = hashlib.sha256()
        if not size:
            self._file_ends()

    def _file_ends(self) -> None:
        if self._name:
            self.seen[self._name] = Passed(self._size, self._hash.hexdigest())


def _name(head: bytes) -> str:
    name = head[:100].split(b"\0", 1)[0]
    prefix = head[345:500].split(b"\0", 1)[0]
    whole = prefix + b"/" + name if prefix else name
    return whole.decode("utf-8", "surrogateescape").removeprefix("./")


def _number(field: bytes) -> int:
    """Read a size: octal digits, or base 256 where the first bit is set (files from 8 GB on)."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        raise Failure("the archive from the server has a member without a size") from None


def differences(manifest: PgManifest, seen: Mapping[str, Passed]) -> list[str]:
    """Return a sentence for each file that is not as the manifest says."""
    wrong = [
        sentence
        for path, entry in manifest.files.items()
        if (sentence := _difference(path, entry.size_bytes, entry.checksum, seen.get(path)))
    ]
    unlisted = (path for path in seen if path not in manifest.files)
    return wrong + [f"{path} is in no list" for path in unlisted if not path.startswith(_UNLISTED)]


def _difference(path: str, size_bytes: int, sha256: str, passed: Passed | None) -> str:
    if passed is None:
        return f"{path} was not sent"
    if passed.size_bytes != size_bytes:
        return f"{path} has {passed.size_bytes} bytes, not {size_bytes}"
    return "" if passed.sha256 == sha256 else f"{path} has another checksum"


def prove(manifest: PgManifest, seen: Mapping[str, Passed]) -> None:
    """Raise unless every file passed as the manifest lists it."""
    wrong = differences(manifest, seen)
    if wrong:
        told = "; ".join(wrong[:_MOST_TOLD])
        more = f" and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise Failure(
            f"what arrived is not what Postgres listed: {told}{more}",
            "nothing was published; bad memory or a bad network alters data in flight",
            Exit.NOT_VERIFIED,
        )
