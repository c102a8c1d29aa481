"""Reads ``pressure.csv`` and ``probe.csv``: one row a second of pressure, one row a probe."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from agent.model import BlindSpot, DiskCounters, Probe, Psi, Sample
from agent.sources.stamps import iso_s

_SECTOR_BYTES = (
    512  # of /proc/diskstats, whatever the device says (Documentation/admin-guide/iostats.rst)
)
_MAX_CELLS = 200
Row = Mapping[str, str]
T = TypeVar("T", Sample, Probe)


def read_pressure(
    lines: Iterable[str], where: str
) -> tuple[tuple[Sample, ...], tuple[BlindSpot, ...]]:
    """The samples of a pressure file in order of the file; several disks may share a second."""
    found, blind = _read(lines, where, _sample)
    merged: list[Sample] = []
    for sample in found:
        if merged and merged[-1].at_s == sample.at_s:
            merged[-1] = replace(merged[-1], disks=merged[-1].disks + sample.disks)
        else:
            merged.append(sample)
    return tuple(merged), blind


def read_probes(
    lines: Iterable[str], where: str
) -> tuple[tuple[Probe, ...], tuple[BlindSpot, ...]]:
    """The probes of a probe file in order of the file."""
    return _read(lines, where, _probe)


def _read(
    lines: Iterable[str], where: str, make: Callable[[Row], T | None]
) -> tuple[tuple[T, ...], tuple[BlindSpot, ...]]:
    made: list[T] = []
    junk = 0
    for row in _rows(lines):
        one = make(row)
        if one is None:
            junk += 1
        else:
            made.append(one)
    why = f"{junk} rows could not be read ({where})"
    return tuple(made), (BlindSpot("recorder", why),) if junk else ()


def _rows(lines: Iterable[str]) -> Iterator[Row]:
    """Each line by the names in the first one; a quote has no meaning, so that none can swallow."""
    header: list[str] | None = None
    for line in lines:
        text = line.replace("\x00", "").strip().removeprefix("\ufeff")
        if not text:
            continue
        try:
            cells = next(csv.reader([text]))
        except csv.Error:
            cells = []
        if header is None:
            header = [cell.strip() for cell in cells[:_MAX_CELLS]]
        else:
            yield dict(zip(header, cells, strict=False))


def _sample(row: Row) -> Sample | None:
    at_s = _time(row.get("ts", ""))
    if at_s is None:
        return None
    available_kb = _number(row, "mem_available_kb")
    disk = _disk(row)
    sample = Sample(
        at_s=at_s,
        cpu=_psi(row, "cpu"),
        io=_psi(row, "io"),
        memory=_psi(row, "mem"),
        memory_available_bytes=None if available_kb is None else int(available_kb) * 1024,
        disks=() if disk is None else (disk,),
    )
    return None if sample == Sample(at_s) else sample


def _probe(row: Row) -> Probe | None:
    at_s = _time(row.get("start", row.get("ts", "")))
    took_s = _number(row, "seconds")
    if at_s is None or took_s is None or took_s < 0:
        return None
    return Probe(at_s, row.get("cmd", ""), took_s, row.get("rc", "0").strip() == "0")


def _psi(row: Row, resource: str) -> Psi | None:
    values = [
        _number(row, f"{resource}_{share}_{what}")
        for share in ("some", "full")
        for what in ("avg10", "total_us")
    ]
    some_pct, some_us, full_pct, full_us = values
    if some_pct is None and some_us is None:
        return None
    return Psi(some_pct or 0.0, (some_us or 0.0) / 1e6, full_pct or 0.0, (full_us or 0.0) / 1e6)


def _disk(row: Row) -> DiskCounters | None:
    name = row.get("disk", "").strip()
    columns = ("rd_sectors", "wr_sectors", "rd_ios", "wr_ios", "io_ms", "weighted_ms")
    values = [_number(row, column) for column in columns]
    if not name or all(value is None for value in values):
        return None
    read, written, reads, writes, busy_ms, queue_ms = (value or 0.0 for value in values)
    return DiskCounters(
        name=name,
        read_bytes=int(read) * _SECTOR_BYTES,
        write_bytes=int(written) * _SECTOR_BYTES,
        reads=int(reads),
        writes=int(writes),
        busy_s=busy_ms / 1e3,
        queue_s=queue_ms / 1e3,
    )


def _time(text: str) -> float | None:
    at_s = iso_s(text.strip())
    if at_s is not None:
        return at_s
    number = _float(text)
    return number if number is not None and 0 < number < 1e11 else None


def _number(row: Row, column: str) -> float | None:
    return _float(row.get(column, ""))


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e18 else None
