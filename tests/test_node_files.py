"""Pressure, memory and disks: what the kernel's files say, and what hostile ones cannot do."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import NoData
from agent.model import Psi
from agent.recorder.disks import Disks, find_devices, parse_diskstats
from agent.recorder.host import Host
from agent.recorder.keptfile import KeptFile, number_after
from agent.recorder.memory import parse_memory
from agent.recorder.psi import Pressure, parse_psi, sample
from tests.node_tree import NodeTree

IO = b"""some avg10=12.50 avg60=4.42 avg300=6.37 total=53856035
full avg10=3.05 avg60=0.00 avg300=0.00 total=9730144
"""


def test_pressure_is_averages_in_per_cent_and_totals_in_seconds() -> None:
    assert parse_psi(IO) == Psi(12.5, 53.856035, 3.05, 9.730144)


def test_an_older_kernel_has_no_full_line_for_processors() -> None:
    assert parse_psi(IO.splitlines()[0]) == Psi(12.5, 53.856035, 0.0, 0.0)


def test_a_later_kernel_may_add_words_and_lines() -> None:
    text = IO.replace(b" total", b" avg3600=1.0 total") + b"rare avg10=0.00 total=1\n"
    assert parse_psi(text) == parse_psi(IO)


@given(st.binary(max_size=200) | st.sampled_from([IO[:n] for n in range(len(IO))]))
def test_torn_pressure_is_read_or_refused_never_worse(text: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(parse_psi(text), Psi)


def test_a_kernel_without_pressure_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="psi=0"):
        Pressure(Host(tmp_path)).numbers()
    with pytest.raises(NoData):
        sample(Host(tmp_path), tmp_path)


def test_a_control_groups_pressure_is_read_the_same_way(tmp_path: Path) -> None:
    for name in ("cpu", "io", "memory"):
        (tmp_path / f"{name}.pressure").write_bytes(IO)
    assert sample(Host(), tmp_path)["memory"] == parse_psi(IO)


def test_memory_counts_what_comes_back_from_disk() -> None:
    meminfo = b"MemTotal: 9 kB\nMemAvailable:   512 kB\nDirty: 7 kB\nWriteback: 3 kB\n"
    vmstat = b"nr_x 1\npgmajfault 5\nworkingset_refault_anon 10\nworkingset_refault_file 20\n"
    assert parse_memory(meminfo, vmstat) == (512, 7, 3, 5, 30)


def test_kernels_before_5_9_have_one_refault_counter() -> None:
    vmstat = b"x 1\nworkingset_refault 44\nworkingset_activate 1\n"
    assert parse_memory(b"MemAvailable: 1 kB\n", vmstat)[4] == 44


def test_memory_without_an_estimate_is_not_guessed() -> None:
    with pytest.raises(NoData):
        parse_memory(b"MemTotal: 1 kB\nMemFree: 1 kB\n", b"")


def test_disks_are_whole_devices_that_moved_something(tmp_path: Path) -> None:
    NodeTree(tmp_path).disks({"vda": (800, 1600), "cciss/c0d0": (80, 80)})
    (tmp_path / "sys/block/cciss!c0d0/slaves").mkdir(parents=True)
    disks = Disks(Host(tmp_path))
    found = dict(disks.numbers(find_devices(Host(tmp_path)).whole))
    assert found["vda"] == (800, 1600, 100, 200, 8, 9)
    assert found.keys() == {"vda", "cciss/c0d0"}, "no partition, no loop, no RAM disk"
    disks.close()


def test_stacked_devices_are_known_by_their_slaves(tmp_path: Path) -> None:
    (tmp_path / "sys/block/dm-0/slaves/vda").mkdir(parents=True)
    (tmp_path / "sys/block/dm-0/dev").write_text("253:0\n")
    (tmp_path / "sys/block/vda/slaves").mkdir(parents=True)
    assert find_devices(Host(tmp_path)).stacked == {b"253:0"}


@given(st.binary(max_size=300))
def test_hostile_diskstats_are_passed_over(text: bytes) -> None:
    assert all(len(numbers) == 6 for _, numbers in parse_diskstats(text, ()))


def test_a_file_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("one")
    kept = KeptFile(tmp_path / "f")
    assert kept.read() == b"one"
    (tmp_path / "f").write_text("two")
    assert kept.read() == b"two"
    kept.close()
    (tmp_path / "f").unlink()
    (tmp_path / "f").write_text("three")
    assert kept.read() == b"three"
    kept.close()
    with pytest.raises(FileNotFoundError):
        KeptFile(tmp_path / "gone").read()


def test_a_long_file_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100_000)
    kept = KeptFile(tmp_path / "f")
    assert len(kept.read_all()) == 100_000
    kept.close()


def test_a_missing_number_is_its_default() -> None:
    assert number_after(b"a 1\n", b"b ", 7) == 7


@pytest.mark.skipif(not Path("/proc/pressure/io").exists(), reason="this kernel has no PSI")
def test_this_machines_own_pressure_can_be_read() -> None:
    pressure = Pressure(Host())
    assert pressure.numbers().keys() == {"cpu", "io", "memory"}
    pressure.close()
