"""The files of a bundle, wherever they are: a directory, a tar archive, or one file alone.

Nothing is extracted: members are read where they lie, links are not followed, sizes are bounded.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from agent.errors import UserError

MAX_ARCHIVE_BYTES = 8 << 30  # unpacked: a bigger one is a bomb, or nothing a laptop should read
MAX_MEMBERS = 1000
HEAD_BYTES = 4096
_CHUNK_BYTES = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ZSTD_HINT = "install the zstd extra (pip install 'knockon[zstd]'), or unpack it: zstd -d FILE"
# What decompressors raise over torn or foreign bytes.
_BROKEN = (EOFError, OSError, zlib.error, ValueError)


class _Reads(Protocol):
    def read1(self, size: int, /) -> bytes: ...


class _Closes(Protocol):
    def close(self) -> None: ...


class CarefulStream(io.RawIOBase):
    """A binary stream that ends where its compression is broken, and remembers why."""

    def __init__(
        self, inner: _Reads, raw: _Closes, broken: tuple[type[Exception], ...] = _BROKEN
    ) -> None:
        super().__init__()
        self._inner = inner
        self._raw = raw
        self._broken = broken
        self.fault = ""

    def close(self) -> None:
        """Close the file below."""
        if not self.closed:
            self._raw.close()
        super().close()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: object, /) -> int:
        """Fill the buffer as far as the data goes."""
        view = memoryview(cast("bytearray", buffer)).cast("B")
        if self.fault:
            return 0
        try:
            # read1, since read loses what it already has when it meets the fault.
            found = self._inner.read1(len(view))
        except self._broken as error:
            self.fault = f"{type(error).__name__}: {error}"
            return 0
        view[: len(found)] = found
        return len(found)


@dataclass(frozen=True, slots=True)
class Member:
    """One regular file of a bundle; ``open_raw`` starts it from the beginning, as it is stored."""

    name: str  # without folders and without .gz or .zst
    size_bytes: int
    open_raw: Callable[[], BinaryIO]

    def open(self) -> tuple[io.BufferedReader, CarefulStream]:
        """The decompressed file, and the stream that knows whether it was whole."""
        raw = self.open_raw()
        magic = raw.read(4)
        raw.seek(0)
        if magic[:2] == _GZIP:
            careful = CarefulStream(gzip.GzipFile(fileobj=raw, mode="rb"), raw)
        elif magic == _ZSTD:
            careful = _zstd_stream(raw)
        else:
            careful = CarefulStream(cast("_Reads", raw), raw)
        return io.BufferedReader(careful, _CHUNK_BYTES), careful

    def head(self) -> bytes:
        """The first bytes of the decompressed file."""
        stream, _ = self.open()
        with stream:
            return stream.read(HEAD_BYTES)


def _zstd_stream(raw: BinaryIO) -> CarefulStream:
    try:
        import zstandard
    except ImportError:
        raw.close()
        raise UserError("this bundle is compressed with zstd", _ZSTD_HINT) from None
    inner = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return CarefulStream(inner, raw, (*_BROKEN, zstandard.ZstdError))


class Files:
    """The members of a bundle, and the unpacked archive they may lie in."""

    def __init__(self, members: list[Member], archive: BinaryIO | None = None) -> None:
        self.members = members
        # A bundle that is dropped rather than closed must not leave its archive open.
        self.close = weakref.finalize(self, archive.close if archive else _nothing)


def _nothing() -> None:
    return None


def files_of(path: Path) -> Files:
    """Every regular file in a directory or archive; of any other file, that file."""
    try:
        if path.is_dir():
            return Files(_in_directory(path))
        with path.open("rb") as stream:
            stream.read(1)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "name a bundle, a directory or a log") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "check its permissions") from None
    alone = _on_disk(path)
    archive = _archive(alone)
    if archive is None:
        return Files([alone])
    try:
        return Files(_in_archive(archive, path), archive)
    except UserError:
        archive.close()
        raise


def _on_disk(path: Path) -> Member:
    return Member(_plain(path.name), path.stat().st_size, lambda: path.open("rb"))


def _plain(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".gz").removesuffix(".zst")


def _in_directory(path: Path) -> list[Member]:
    entries = sorted(path.iterdir())[:MAX_MEMBERS]
    return [_on_disk(entry) for entry in entries if entry.is_file() and not entry.is_symlink()]


def _archive(alone: Member) -> BinaryIO | None:
    """The tar archive in a file, unpacked from its compression into an unnamed file."""
    stream, _ = alone.open()
    with stream:
        block = stream.read(512)
        if len(block) < 512 or block[257:262] != b"ustar":
            return None
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the bundle
        size = unpacked.write(block)
        while chunk := stream.read(_CHUNK_BYTES):
            size += unpacked.write(chunk)
            if size > MAX_ARCHIVE_BYTES:
                unpacked.close()
                limit = f"{MAX_ARCHIVE_BYTES >> 30} GiB"
                raise UserError(
                    f"the archive unpacks to more than {limit}", "name its files instead"
                )
    unpacked.seek(0)
    return cast("BinaryIO", unpacked)


def _in_archive(archive: BinaryIO, path: Path) -> list[Member]:
    members = []
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            for info in islice(tar, MAX_MEMBERS):
                if info.isreg() and not info.issparse():
                    members.append(_in_tar(archive, info))  # noqa: PERF401 - kept if the rest is torn
    except tarfile.TarError as error:
        if not members:
            raise UserError(f"{path} is no whole tar archive: {error}", "fetch it again") from None
    return members


def _in_tar(archive: BinaryIO, info: tarfile.TarInfo) -> Member:
    start, size = info.offset_data, info.size
    return Member(
        _plain(info.name),
        size,
        lambda: cast("BinaryIO", io.BufferedReader(_Slice(archive, start, size))),
    )


class _Slice(io.RawIOBase):
    """A part of a file; several may be read in turns, since each keeps its own place."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._start = start
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a place inside the part."""
        base = (0, self._at, self._size)[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """The place inside the part."""
        return self._at

    def readinto(self, buffer: object, /) -> int:
        """Fill the buffer from the part."""
        view = memoryview(cast("bytearray", buffer)).cast("B")
        count = max(0, min(len(view), self._size - self._at))
        self._file.seek(self._start + self._at)
        found = self._file.read(count)
        view[: len(found)] = found
        self._at += len(found)
        return len(found)
