"""`knockon backup doctor`: on fake nodes of every kind, and on this one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from backup.foreign.doctor import SCHEMA, Question, examine
from backup.levers.cgroup_group import PREFIX
from backup.levers.lever import Bites, Lever, as_lines, as_table
from backup.postgres import server_facts
from backup.postgres.server_facts import ServerFacts
from backup.sensors.devices import disks_under
from tests.backup.governed import ROOT, run
from tests.backup.nodes import FakeNode

SERVER = ServerFacts(wal_sender_timeout_s=60.0, tcp_user_timeout_s=0.0)


def seen(node: FakeNode, number: str = "8:0", **asked: object) -> dict[str, Lever]:
    question = Question(Path("/"), **asked)  # type: ignore[arg-type]
    return {lever.name: lever for lever in examine(node.host, question, number)}


@pytest.mark.parametrize(
    ("scheduler", "bites"),
    [
        ("bfq", Bites.YES),
        ("mq-deadline", Bites.YES),
        ("none", Bites.NO),
        ("kyber", Bites.NO),
    ],
)
def test_the_scheduler_decides_about_ionice(scheduler: str, bites: Bites, tmp_path: Path) -> None:
    lever = seen(FakeNode(tmp_path).v1().disk("sda", scheduler))["ionice idle"]
    assert lever.bites is bites
    assert f"sda: {scheduler}" in lever.why


def test_the_scheduler_of_the_disk_at_the_bottom_counts(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1().disk("nvme0n1", "none").partition("nvme0n1", "nvme0n1p2", "8:2")
    node.stacked("dm-0", "253:0", "nvme0n1").stacked("dm-1", "253:1", "dm-0")
    assert [disk.name for disk in disks_under(node.host, "253:1")] == ["nvme0n1"]
    assert [disk.name for disk in disks_under(node.host, "8:2")] == ["nvme0n1"]
    assert seen(node, "253:1")["ionice idle"].bites is Bites.NO


def test_disks_that_differ_are_named(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1().disk("sda", "bfq").disk("sdb", "none")
    node.stacked("md0", "9:0", "sda", "sdb")
    lever = seen(node, "9:0")["ionice idle"]
    assert lever.bites is Bites.PARTLY
    assert "sdb: none" in lever.why


def test_a_file_system_without_a_device_number_is_found_by_its_mount(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v2().disk("sda", "none").partition("sda", "sda1", "8:1")
    node.mounted("0:45", "btrfs", "/dev/sda1")
    assert [disk.name for disk in disks_under(node.host, "0:45")] == ["sda"]
    assert seen(node, "0:45")["writeback accounting"].bites is Bites.YES


def test_an_overlay_is_judged_by_all_disks(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1().disk("sda", "none").mounted("0:50", "overlay", "overlay")
    assert disks_under(node.host, "0:50") == ()
    assert seen(node, "0:50")["ionice idle"].bites is Bites.NO


def test_writeback_wants_v2_and_a_file_system_that_knows_it(tmp_path: Path) -> None:
    one = FakeNode(tmp_path / "1").v2().disk("sda", "none").mounted("8:0", "ext4", "/dev/sda")
    two = FakeNode(tmp_path / "2").v2().disk("sda", "none").mounted("8:0", "ext3", "/dev/sda")
    three = FakeNode(tmp_path / "3").v1().disk("sda", "none").mounted("8:0", "ext4", "/dev/sda")
    found = [seen(node)["writeback accounting"].bites for node in (one, two, three)]
    assert found == [Bites.YES, Bites.NO, Bites.NO]


def test_v1_is_flat(tmp_path: Path) -> None:
    assert seen(FakeNode(tmp_path / "1").v1())["cgroup version"].bites is Bites.PARTLY
    assert seen(FakeNode(tmp_path / "2").v2())["cgroup version"].bites is Bites.YES
    assert seen(FakeNode(tmp_path / "3"))["cgroup version"].bites is Bites.NO


def test_read_ahead_is_weighed_against_the_rate(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1().disk("sda", "none", read_ahead_kb=8192)
    lever = seen(node, bytes_per_s=60e6)["read_ahead_kb"]
    assert lever.bites is Bites.NO
    assert "140 ms at 60 MB/s" in lever.why
    assert seen(node, bytes_per_s=400e6)["read_ahead_kb"].bites is Bites.YES


def test_pressure_is_looked_for(tmp_path: Path) -> None:
    name = "PSI (the governor's feeling)"
    assert seen(FakeNode(tmp_path / "1").v1())[name].bites is Bites.NO
    assert seen(FakeNode(tmp_path / "2").v1().pressure())[name].bites is Bites.YES


def test_for_a_streaming_server_limits_on_the_client_do_not_bite(tmp_path: Path) -> None:
    found = seen(FakeNode(tmp_path).v2().disk("sda", "bfq"), server=SERVER)
    names = ("who reads the disk", "cgroup I/O limit", "cgroup I/O weight", "ionice idle")
    assert {found[name].bites for name in (*names, "memory.high")} == {Bites.NO}
    assert found["freeze"].bites is Bites.YES
    assert found["wal_sender_timeout"].bites is Bites.YES


def test_a_short_tcp_timeout_shortens_the_safe_slice(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1()
    short = ServerFacts(wal_sender_timeout_s=60.0, tcp_user_timeout_s=2.0)
    assert "--freeze-slice 0.5" in seen(node, server=short)["freeze"].why
    assert seen(node, server=short)["tcp_user_timeout"].bites is Bites.PARTLY
    local = ServerFacts(60.0, 2.0, over_unix_socket=True)
    assert "--freeze-slice 1 " in seen(node, server=local)["freeze"].why
    assert seen(node, server=local)["tcp_user_timeout"].bites is Bites.YES


def test_a_server_that_does_not_answer_is_a_line_of_the_table(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    facts = server_facts.ask(f"host={tmp_path} port=1 user=nobody")
    assert facts.trouble
    found = seen(FakeNode(tmp_path / "n").v1(), server=facts)
    assert found["wal_sender_timeout"].bites is Bites.UNKNOWN


def test_an_empty_node_is_no_crash(tmp_path: Path) -> None:
    found = seen(FakeNode(tmp_path))
    assert found["ionice idle"].bites is Bites.UNKNOWN
    assert found["cgroup I/O limit"].bites is Bites.NO


def test_the_lines_are_never_more_than_asked_for() -> None:
    levers = [Lever(f"lever {n}", list(Bites)[n % 4], "because") for n in range(30)]
    lines = as_lines(levers, 11)
    assert len(lines) == 11
    assert lines[-1].startswith("also: ")
    assert lines[0].startswith("bites: lever 0")


def test_the_table_is_wrapped() -> None:
    text = as_table([Lever("a", Bites.YES, "word " * 60)], 80)
    assert max(map(len, text.splitlines())) <= 80


def groups_of_anyone() -> set[Path]:
    return set(Path("/sys/fs/cgroup").glob(f"*/{PREFIX}-*"))


def test_the_command_prints_this_node_and_changes_nothing() -> None:
    main = "import sys; from backup.commands import main; sys.exit(main(sys.argv[1:]))"
    before = groups_of_anyone()
    done = run([sys.executable, "-c", main, "doctor", "--json", "--data", str(ROOT)])
    assert done.returncode == 0
    table = json.loads(done.stdout)
    assert table["schema"] == SCHEMA
    assert {"lever", "bites", "why"} == set(table["levers"][0])
    assert groups_of_anyone() <= before
    assert run([sys.executable, "-c", main, "doctor", "--data", "/no/such"]).returncode == 2
