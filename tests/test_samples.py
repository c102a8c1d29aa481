"""pressure.csv and probe.csv: whole, with columns missing, and torn."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import DiskCounters, Probe, Psi, Sample
from agent.sources.samples import read_pressure, read_probes

HEADER = (
    "ts,cpu_some_avg10,cpu_some_total_us,io_some_avg10,io_some_total_us,io_full_avg10,"
    "io_full_total_us,disk,rd_ios,rd_sectors,wr_ios,wr_sectors,io_ms,weighted_ms,mem_available_kb"
)
ROW = (
    "2026-11-23T11:56:25.312Z,4.71,2000000,0.19,983000000,0.09,82000000,"
    "loop1,10,16,4,8,1500,2500,1024"
)


def test_a_row_becomes_a_sample() -> None:
    (sample,), blind = read_pressure([HEADER, ROW], "p")
    assert sample == Sample(
        at_s=1795434985.312,
        cpu=Psi(4.71, 2.0),
        io=Psi(0.19, 983.0, 0.09, 82.0),
        memory=None,
        memory_available_bytes=1024 * 1024,
        disks=(DiskCounters("loop1", 8192, 4096, 10, 4, 1.5, 2.5),),
    )
    assert not blind


def test_disks_of_one_second_share_a_sample() -> None:
    (sample,), _ = read_pressure([HEADER, ROW, ROW.replace("loop1", "vda")], "p")
    assert [disk.name for disk in sample.disks] == ["loop1", "vda"]


def test_columns_may_be_missing() -> None:
    (sample,), blind = read_pressure(["ts,io_some_avg10", "2026-11-23T11:56:25Z,12.5"], "p")
    assert sample.io == Psi(12.5, 0.0)
    assert (sample.cpu, sample.memory_available_bytes, sample.disks) == (None, None, ())
    assert not blind


def test_junk_rows_are_counted() -> None:
    rows = [HEADER, ROW, "nonsense", "2026-11-23T11:56:2", "\x00\x00", '"never closed', ""]
    samples, (blind,) = read_pressure(rows, "p")
    assert len(samples) == 1
    assert blind.why == "3 rows could not be read (p)"


def test_a_probe_says_whether_it_was_answered() -> None:
    rows = [
        "start,cmd,seconds,rc",
        "2026-11-23T11:56:50.318Z,docker ps -q,42.181,0",
        "2026-11-23T11:57:50Z,docker ps -q,5,124",
        "2026-11-23T11:57:50Z,docker ps -q,nan,0",
    ]
    probes, blind = read_probes(rows, "p")
    assert probes == (
        Probe(1795435010.318, "docker ps -q", 42.181, answered=True),
        Probe(1795435070.0, "docker ps -q", 5.0, answered=False),
    )
    assert len(blind) == 1


@given(st.lists(st.text(max_size=60), max_size=8))
def test_noise_never_raises(rows: list[str]) -> None:
    read_pressure([HEADER, *rows], "p")
    read_pressure(rows, "p")
    read_probes(["start,cmd,seconds,rc", *rows], "p")


@given(st.lists(st.sampled_from(["1e400", "-1", "nan", "", "9" * 400, "x", "0"]), min_size=14))
def test_absurd_numbers_never_raise(cells: list[str]) -> None:
    read_pressure([HEADER, "2026-11-23T11:56:25Z," + ",".join(cells)], "p")


@pytest.mark.shared
def test_recordings_are_read_whole(shared: Path) -> None:
    for path in sorted((shared / "recordings").glob("*/p*.csv")):
        read = read_pressure if path.name == "pressure.csv" else read_probes
        found, blind = read(path.read_text().splitlines(), path.name)
        assert found
        assert not blind
