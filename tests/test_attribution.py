"""Whose load it was: the largest share of what the disk did, and never a guess."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.daemon.backups import Backups, announced, fact_of_backup, titled
from agent.diagnosis.case import Case
from agent.diagnosis.diagnose import diagnose
from agent.diagnosis.offender import find_offender
from agent.model import (
    Cause,
    CgroupCounters,
    DiskCounters,
    Fact,
    Incident,
    Kind,
    Offender,
    Pod,
    Probe,
    Psi,
    Sample,
    Subject,
    SubjectKind,
    Trust,
)
from agent.recorder.host import Host
from backup.announce import announced as announcing
from backup.announce import announcement

T0 = 10_000.0
MB = 1_000_000
PG = Subject(SubjectKind.POD, "pg-0", "prod", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
WEB = Subject(SubjectKind.POD, "web-1", "prod", "u-web")
JOB = Subject(SubjectKind.POD, "pg-backup-29", "prod", "u-job")
PODS = (Pod("prod", "pg-0", PG.uid, image_hint="postgres:17"), Pod("prod", "pg-backup-29", "u-job"))


@dataclass(frozen=True)
class Load:
    """Bytes and operations a second of each, before and in the last minute."""

    who: Subject
    bytes_s: int
    operations_s: int = 10
    before_bytes_s: int = 0


def samples(
    *loads: Load, disk_s: int = 0, waited: float = 0.9, waited_before: float = 0.05
) -> tuple[Sample, ...]:
    """Six minutes at 1 Hz up to the kill; the last of them with the load."""
    made = []
    for second in range(-360, 1):
        late, early = max(0, second + 60), min(second + 360, 300)
        disk = disk_s or sum(one.bytes_s for one in loads)
        made.append(
            Sample(
                at_s=T0 + second,
                io=Psi(0.0, early * waited_before + late * waited),
                disks=(DiskCounters("sda", late * disk, 0, late * 100, 0, 0.0, 0.0),),
                cgroups=tuple(
                    CgroupCounters(
                        owner=one.who,
                        read_bytes=early * one.before_bytes_s + late * one.bytes_s,
                        reads=late * one.operations_s,
                    )
                    for one in loads
                ),
            )
        )
    return tuple(made)


def kill(*more: Fact) -> Incident:
    about = Subject(SubjectKind.UNIT, "docker.service")
    one = Fact(Kind.MONITOR_KILLS_RUNTIME, T0, about, "journal", Trust.TRUSTED, "killed")
    return Incident("ab", "node-1", T0, T0, (*more, one))


def blamed(*loads: Load, facts: tuple[Fact, ...] = (), **node: float) -> Offender | None:
    case = Case(kill(*facts), samples(*loads, **node))  # type: ignore[arg-type]
    return find_offender(case, Cause.IO_SATURATION, PODS)


def test_the_largest_mover_is_named_with_numbers() -> None:
    found = blamed(Load(PG, 400 * MB), Load(WEB, 20 * MB))
    assert found is not None
    assert (found.kind, found.namespace, found.name) == ("pod", "prod", "pg-0")
    assert "95 % of all bytes (400 MB/s)" in found.method


def test_nobody_below_a_fair_share() -> None:
    assert blamed(Load(PG, 40 * MB, 0), Load(WEB, 39 * MB, 0), Load(JOB, 38 * MB, 0)) is None


def test_what_control_groups_do_not_see_is_nobodys() -> None:
    """Buffered writes on cgroup v1: the disk did five times what the groups counted."""
    assert blamed(Load(PG, 40 * MB), Load(WEB, MB), disk_s=200 * MB) is None


def test_the_method_says_how_much_it_saw() -> None:
    found = blamed(Load(PG, 60 * MB), Load(WEB, MB), disk_s=100 * MB)
    assert found is not None
    assert "saw 61 % of what the disk did" in found.method


def test_many_small_operations_count_as_well() -> None:
    found = blamed(Load(PG, 10 * MB, 90), Load(WEB, 11 * MB, 5), Load(JOB, 2 * MB, 5))
    assert found is not None
    assert found.name == "pg-0"
    assert "of all disk operations" in found.method


def test_nobody_is_named_for_pressure_that_was_there_before() -> None:
    assert blamed(Load(PG, 400 * MB), Load(WEB, MB), waited_before=0.9) is None


def test_a_load_that_was_always_there_may_have_made_it() -> None:
    steady = Load(PG, 400 * MB, before_bytes_s=380 * MB)
    assert blamed(steady, Load(WEB, MB), waited_before=0.9) is not None


def running(source: str, about: Subject, at_s: float = T0 - 20, **detail: str) -> Fact:
    known = {"tool": "knockon backup", "began_s": str(T0 - 200), **detail}
    return Fact(Kind.BACKUP_RUNNING, at_s, about, source, Trust.TRUSTED, "runs", known)


def test_a_backup_that_announced_itself_is_named_not_only_postgres() -> None:
    found = blamed(Load(PG, 400 * MB), Load(JOB, MB), facts=(running("announcement", JOB),))
    assert found is not None
    assert (found.kind, found.namespace, found.name) == ("pod", "prod", "pg-backup-29")
    assert "its data is read by prod/pg-0, which moved" in found.method


def test_a_walsenders_title_names_the_backup() -> None:
    seen = running("processes", Subject(SubjectKind.PROCESS, "x"), pod_uid=PG.uid)
    found = blamed(Load(PG, 400 * MB), Load(WEB, MB), facts=(seen,))
    assert found is not None
    assert found.name == "base backup of prod/pg-0"
    assert "walsender's title" in found.method


@pytest.mark.parametrize(("announced_too", "advised"), [(False, True), (True, False)])
def test_a_backup_that_is_governed_already_is_not_told_to_be(
    announced_too: bool, advised: bool
) -> None:
    seen = running("processes", Subject(SubjectKind.PROCESS, "x"), pod_uid=PG.uid)
    ours = running("announcement", Subject(SubjectKind.PROCESS, "knockon backup"))
    facts = (seen, ours) if announced_too else (seen,)
    load = samples(Load(PG, 400 * MB), Load(WEB, MB), waited=0.9)
    told = diagnose(kill(*facts), pods=PODS, samples=load)
    assert told.offender is not None
    assert told.offender.is_backup
    assert any("governed" in step for step in told.advice) is advised


@pytest.mark.parametrize(
    "fact",
    [
        running("announcement", JOB, at_s=T0 - 200),  # it had ended
        running("announcement", JOB, began_s=str(T0 + 1)),  # it had not begun
    ],
)
def test_a_backup_of_another_time_is_not_blamed(fact: Fact) -> None:
    found = blamed(Load(PG, 400 * MB), Load(WEB, MB), facts=(fact,))
    assert found is not None
    assert found.name == "pg-0"


def test_a_backup_is_not_blamed_for_what_somebody_else_moved() -> None:
    found = blamed(Load(WEB, 400 * MB), Load(PG, MB), facts=(running("announcement", JOB),))
    assert found is not None
    assert found.name == "web-1"


def test_a_shortage_of_processors_is_whoevers_used_them() -> None:
    calm, busy = samples(Load(PG, 0))[-60], samples(Load(PG, 0))[-1]
    grown = replace(busy.cgroups[0], cpu_s=180.0)
    case = Case(kill(), (calm, replace(busy, cgroups=(grown,))))
    found = find_offender(case, Cause.CPU_STARVATION)
    assert found is not None
    assert "of all processor time (3.1 cores)" in found.method


# -- what is seen on the node ----------------------------------------------------------------------


def host(folder: Path) -> Host:
    (folder / "run/knockon").mkdir(parents=True)
    (folder / "proc").symlink_to("/proc")
    return Host(folder)


def test_an_announcement_made_by_the_backup_is_understood(tmp_path: Path) -> None:
    node = host(tmp_path)
    said = announcement("sda", "/var/lib/postgresql", "knockon backup", node)
    with announcing(said, node):
        (one,) = announced(node, said.started_at + 1)
        assert (one.tool, one.device, one.host) == ("knockon backup", "sda", os.uname().nodename)
        pod = Pod("prod", os.uname().nodename, "u1")
        fact = fact_of_backup(one, said.started_at + 1, (pod,))
        assert fact.subject == Subject(SubjectKind.POD, pod.name, "prod", "u1")
    assert list(announced(node, said.started_at + 1)) == []


def test_a_running_backup_is_stated_once_a_minute(tmp_path: Path) -> None:
    node = host(tmp_path)
    said = announcement("sda", "/data", "knockon backup", node)
    backups = Backups(node)
    with announcing(said, node):
        stated = [
            len(backups.look(said.started_at + second, (), titles=False)) for second in range(121)
        ]
        assert backups.running
    assert sum(stated) == 3
    assert stated[0] == stated[60] == stated[120] == 1
    backups.look(said.started_at + 200, (), titles=False)
    assert not backups.running


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"tool": 3}', '{"started_at": "x", "tool": "y"}'])
def test_a_torn_announcement_is_passed_over(tmp_path: Path, junk: str) -> None:
    node = host(tmp_path)
    (tmp_path / "run/knockon/backup-1-1.json").write_text(junk)
    assert list(announced(node, T0)) == []


def process(folder: Path, pid: int, title: str, group: str) -> None:
    here = folder / "proc" / str(pid)
    here.mkdir(parents=True)
    (here / "cmdline").write_bytes(title.encode() + b"\0\0")
    (here / "cgroup").write_text(f"0::{group}\n")


def test_walsenders_that_send_a_backup_are_found_by_their_titles(tmp_path: Path) -> None:
    uid = PG.uid.replace("-", "_")
    slice_ = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/cri-x"
    sends = 'postgres: walsender repl 10.0.0.9(4711) sending backup "pg_basebackup base backup"'
    process(tmp_path, 10, sends, slice_)
    process(tmp_path, 11, "postgres: walsender repl 10.0.0.9(4712) streaming 0/3000148", slice_)
    process(tmp_path, 12, f"less {sends}", slice_)
    process(tmp_path, 13, sends, "/system.slice/postgresql@17-main.service")
    found = {one.key: (one.pod_uid, one.unit) for one in titled(Host(tmp_path), T0)}
    assert found == {
        "walsender-10": (PG.uid, ""),
        "walsender-13": ("", "postgresql@17-main.service"),
    }


def test_a_container_at_its_own_limit_is_not_the_busy_disks_doing() -> None:
    in_memcg = Fact(Kind.OOM_IN_MEMCG, T0, WEB, "journal", Trust.TRUSTED, "killed in its memcg")
    alone = Incident("cd", "node-1", T0, T0, (in_memcg,))
    unanswered = tuple(Probe(T0 - at, "docker ps", 12.0, answered=False) for at in (40, 25))
    busy = samples(Load(PG, 400 * MB))
    found = diagnose(alone, pods=PODS, samples=busy, probes=unanswered)
    assert found.cause is Cause.CONTAINER_OOM
    assert found.offender is None or found.offender.name == "web-1"
