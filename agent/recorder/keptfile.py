"""A file of /proc or /sys that stays open: reading it again is one ``pread``, no path walk.

The kernel keeps one buffer of a page for each open file: a thousand of them are 4 MiB that belong
to the agent's memory limit, though not to its RSS.
"""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

PAGE_BYTES = 4096
_RENEW = frozenset({errno.ENODEV, errno.ENOENT, errno.ESTALE})


class KeptFile:
    """One file kept open; opened again when what was behind it was replaced."""

    __slots__ = ("_path", "fd")

    def __init__(self, path: Path | str) -> None:
        self._path = os.fspath(path)
        self.fd = -1

    def read(self, size_bytes: int = PAGE_BYTES) -> bytes:
        """Return the file's first ``size_bytes``: enough for files the kernel writes in one go."""
        if self.fd >= 0:
            try:
                return os.pread(self.fd, size_bytes, 0)
            except OSError as error:
                if error.errno not in _RENEW:
                    raise
        self._reopen()
        return os.pread(self.fd, size_bytes, 0)

    def read_all(self) -> bytes:
        """Return the whole of a file that the kernel hands out page by page."""
        parts = [self.read()]
        offset = len(parts[0])
        while parts[-1]:
            parts.append(os.pread(self.fd, 16 * PAGE_BYTES, offset))
            offset += len(parts[-1])
        return b"".join(parts)

    def _reopen(self) -> None:
        self.close()
        self.fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Give the descriptor back; the next read opens the file again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def allow_many_files() -> int:
    """Raise the soft limit of open files to the hard one, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def number_after(text: bytes, word: bytes, default: int = 0) -> int:
    r"""Return the number that follows a word, up to the end of its line.

    >>> number_after(b"nr_throttled 3\nthrottled_usec 12\n", b"throttled_usec ")
    12
    """
    at = text.find(word)
    if at < 0:
        return default
    start = at + len(word)
    end = text.find(b"\n", start)
    return int(text[start:] if end < 0 else text[start:end])
