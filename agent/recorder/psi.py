"""Collector: pressure files of the node and of control groups.

Documentation/accounting/psi.rst. Kernel 4.20 brought them; some distributions build them in and
want ``psi=1`` on the kernel's command line; ``cpu`` has a ``full`` line since 5.13.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from agent.errors import NoData
from agent.model import Psi
from agent.recorder.host import Host
from agent.recorder.keptfile import KeptFile

RESOURCES = ("cpu", "io", "memory")
_OFF = frozenset({errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV})
_Line = tuple[int, int]  # avg10 in hundredths of a per cent, total in microseconds


def parse_psi(text: bytes) -> Psi:
    """Parse a pressure file; raises ValueError when it holds no ``some`` line.

    >>> parse_psi(b"some avg10=1.50 avg60=0.00 avg300=0.00 total=2000000").some_total_s
    2.0
    """
    some_centi, some_us, full_centi, full_us = psi_numbers(text)
    return Psi(some_centi / 100, some_us / 1e6, full_centi / 100, full_us / 1e6)


def psi_numbers(text: bytes) -> tuple[int, int, int, int]:
    """Return avg10 (hundredths of a per cent) and total (microseconds) of ``some`` and ``full``."""
    lines: dict[bytes, _Line] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(b" ")
        if word in (b"some", b"full"):
            lines[word] = _line(rest)
    if b"some" not in lines:
        raise ValueError("not a pressure file")
    return (*lines[b"some"], *lines.get(b"full", (0, 0)))


def _line(text: bytes) -> _Line:
    pairs = dict(pair.split(b"=", 1) for pair in text.split() if b"=" in pair)
    try:
        whole, _, part = pairs[b"avg10"].partition(b".")
        return int(whole) * 100 + int((part + b"00")[:2]), int(pairs[b"total"])
    except KeyError as error:
        raise ValueError(f"a pressure line without {error}") from error


def some_total_us(text: bytes) -> int:
    """Return the microseconds in which some task stalled: all that a control group's row needs."""
    at = text.find(b"total=")
    end = text.find(b"\n", at)
    return int(text[at + 6 : end] if end >= 0 else text[at + 6 :]) if at >= 0 else 0


class Pressure:
    """The node's three pressure files, kept open."""

    def __init__(self, host: Host) -> None:
        self._files: Mapping[str, KeptFile] = {
            name: KeptFile(host.proc / "pressure" / name) for name in RESOURCES
        }

    def numbers(self) -> dict[str, tuple[int, int, int, int]]:
        """Read all three; raises NoData when this kernel counts no pressure."""
        try:
            return {name: psi_numbers(file.read()) for name, file in self._files.items()}
        except OSError as error:
            if error.errno in _OFF:
                raise NoData("no pressure is counted: kernel < 4.20, or psi=0") from error
            raise

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()


def sample(host: Host, folder: Path | None = None) -> dict[str, Psi]:
    """Read the pressure of the node, or of the control group in ``folder``, once."""
    where = folder or host.proc / "pressure"
    suffix = ".pressure" if folder else ""
    found: dict[str, Psi] = {}
    for name in RESOURCES:
        try:
            found[name] = parse_psi((where / f"{name}{suffix}").read_bytes())
        except OSError as error:
            if error.errno in _OFF:
                raise NoData(f"{where}: no pressure is counted here") from error
            raise
    return found
