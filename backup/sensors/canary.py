"""A canary: one small read from the disk itself, past every cache, at a random place of a file.

It shares the foreground's disk and queue and asks for nothing but read access to one big file, or
to the device. Where the file system knows no direct I/O, it reads places that the page cache does
not hold, and says that this is second best.
"""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path
from random import Random

from agent.errors import NoData, UserError

BLOCK_BYTES = 4096
PLACES_TRIED = 16
_NOT_CACHED = frozenset({errno.EAGAIN})
_NO_DIRECT = frozenset({errno.EINVAL, errno.EOPNOTSUPP})


class Canary:
    """Reads one block of ``path`` at a random place each time it is called."""

    def __init__(self, path: Path, random: Random | None = None) -> None:
        self._path = path
        self._random = random or Random()
        self._buffer = mmap.mmap(-1, BLOCK_BYTES)  # page-aligned, as direct I/O wants it
        self._fd, self.direct = _open(path)
        self._blocks = os.lseek(self._fd, 0, os.SEEK_END) // BLOCK_BYTES
        if self._blocks < PLACES_TRIED:
            self.close()
            raise UserError(
                f"{path} is too small to probe its disk with",
                "name a file of some MiB on the database's disk, or the device",
            )

    @property
    def note(self) -> str:
        """What is second best about this canary; empty when nothing is."""
        if self.direct:
            return ""
        return f"{self._path}: no direct I/O here, so only places outside the page cache are read"

    def __call__(self) -> None:
        """Read one block; raises NoData when every place tried lies in the page cache."""
        if self.direct:
            try:
                os.preadv(self._fd, [self._buffer], self._place())
            except OSError as error:
                if error.errno not in _NO_DIRECT:
                    raise
                self._fall_back()
            else:
                return
        self._read_uncached()

    def close(self) -> None:
        """Give the file back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _place(self) -> int:
        return self._random.randrange(self._blocks) * BLOCK_BYTES

    def _fall_back(self) -> None:
        os.close(self._fd)
        self._fd, self.direct = _open_buffered(self._path), False

    def _read_uncached(self) -> None:
        for _ in range(PLACES_TRIED):
            place = self._place()
            if self._cached(place):
                continue
            os.preadv(self._fd, [self._buffer], place)
            os.posix_fadvise(self._fd, place, BLOCK_BYTES, os.POSIX_FADV_DONTNEED)
            return
        raise NoData(f"{self._path} lies in the page cache: reading it says nothing about the disk")

    def _cached(self, place: int) -> bool:
        try:
            return os.preadv(self._fd, [self._buffer], place, os.RWF_NOWAIT) > 0
        except OSError as error:
            if error.errno in _NOT_CACHED | _NO_DIRECT:
                return False
            raise


def _open(path: Path) -> tuple[int, bool]:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT), True
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file", "name a big file on the disk") from error
    except OSError as error:
        if error.errno not in _NO_DIRECT:
            raise UserError(f"{path}: {error.strerror}", "the canary must be readable") from error
    return _open_buffered(path), False


def _open_buffered(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)  # no read-ahead: it would cache the rest
    return fd
