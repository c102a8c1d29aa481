"""``--wal archived``: the WAL stays in the cluster's own archive, and the copy starts by it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.errors import UserError
from backup.exits import Exit
from backup.restore.recovery import prepare, restore_command
from tests.backup.client import command, paced_run
from tests.backup.cluster import Cluster, as_owner, free_port, running

OWNER = ("--owner", "postgres") if os.geteuid() == 0 else ()


@dataclass(frozen=True, slots=True)
class Archiving:
    """A cluster whose WAL goes to an archive, and room beside it."""

    cluster: Cluster
    room: Path

    @property
    def fetch(self) -> str:
        return f'cp "{self.cluster.folder}/it\'s WAL/%f" %p'

    @property
    def store(self) -> str:
        return f"file://{self.room}/store"

    def to_archive(self) -> None:
        """Wait until all that was written is there."""
        last = self.cluster.sql("SELECT pg_walfile_name(pg_switch_wal())")
        self.cluster.until(
            f"SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal >= '{last}'", 20.0
        )


@pytest.fixture
def archiving() -> Iterator[Archiving]:
    with (
        tempfile.TemporaryDirectory(prefix="knockon-pg-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryDirectory(prefix="knockon-room-", ignore_cleanup_errors=True) as beside,
        running(Path(folder), free_port()) as cluster,
    ):
        room = Path(beside)
        room.chmod(0o755)
        as_owner(["mkdir", cluster.folder / "it's WAL"])
        cluster.sql("ALTER SYSTEM SET archive_mode = on")
        keep = f"cp %p \"{cluster.folder}/it''s WAL/%f\""
        cluster.sql(f"ALTER SYSTEM SET archive_command = '{keep}'")
        cluster.restart()
        cluster.bench("-i", "-q", "-s", "2")
        yield Archiving(cluster, room)


def started(cluster: Cluster, data: Path) -> subprocess.CompletedProcess[bytes]:
    """Start a server there as its owner would."""
    options = f"-p 5432 -k {data} -h '' -c archive_mode=off"
    control: list[str | Path] = [cluster.programs / "pg_ctl", "-D", data, "-w", "-t", "30"]
    try:
        as_owner([*control, "-o", options, "-l", data / "log", "start"])
    except subprocess.CalledProcessError as failed:
        return subprocess.CompletedProcess([], failed.returncode)
    return subprocess.CompletedProcess([], 0)


def test_it_restores_to_the_last_word_of_the_archive(archiving: Archiving) -> None:
    one, store = archiving.cluster, archiving.store
    status, said = paced_run(
        "--dsn", one.dsn, "--to", store, "--wal", "archived", "--fast-checkpoint"
    )
    assert status == Exit.DONE, said
    one.sql("CREATE TABLE later AS SELECT 42 AS n")
    archiving.to_archive()
    data = archiving.room / "data"
    words = ("restore", "--from", store, "--target", str(data), *OWNER)
    status, said = command(*words, "--restore-command", archiving.fetch)
    assert status == Exit.DONE, said
    assert "takes all the WAL that the archive has" in said
    assert started(one, data).returncode == 0, (data / "log").read_text()
    copy = Cluster(one.programs, data, 5432, one.clients)
    try:
        assert copy.until("SELECT 1 WHERE NOT pg_is_in_recovery()", 30.0)
        assert copy.sql("SELECT n FROM later") == "42"
        assert copy.sql("SELECT count(*) FROM pgbench_accounts") == "200000"
    finally:
        as_owner([one.programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"])


def test_without_the_archive_it_does_not_start_and_that_was_said(archiving: Archiving) -> None:
    one, store = archiving.cluster, archiving.store
    status, said = paced_run(
        "--dsn", one.dsn, "--to", store, "--wal", "archived", "--fast-checkpoint"
    )
    assert status == Exit.DONE, said
    data = archiving.room / "data"
    status, said = command("restore", "--from", store, "--target", str(data), *OWNER)
    assert status == Exit.DONE, said
    assert "cannot start yet" in said
    assert "--restore-command" in said
    assert started(one, data).returncode != 0
    assert "could not locate required checkpoint record" in (data / "log").read_text()


def test_the_restore_test_fetches_it_too(archiving: Archiving) -> None:
    one, store = archiving.cluster, archiving.store
    status, said = paced_run(
        "--dsn", one.dsn, "--to", store, "--wal", "archived", "--fast-checkpoint"
    )
    assert status == Exit.DONE, said
    words = ("restore-test", "--from", store, "--work-dir", str(archiving.room))
    status, said = command(*words)
    assert status == Exit.USER_ERROR
    assert "give --restore-command" in said
    status, said = command(*words, "--restore-command", archiving.fetch)
    assert status == Exit.DONE, said
    assert "restores and starts" in said


@pytest.mark.parametrize("command", ["cp /archive/%f /here", "wal-g wal-fetch", "cp %f %p\nrm x"])
def test_a_restore_command_that_fetches_nothing_is_refused(command: str) -> None:
    with pytest.raises(UserError) as refused:
        restore_command(command)
    assert "\n" not in refused.value.message


def test_a_restore_command_is_quoted_as_postgres_reads_it(tmp_path: Path) -> None:
    prepare(tmp_path, "cp '/a\\b/%f' %p")
    text = (tmp_path / "postgresql.auto.conf").read_text()
    assert text.endswith("restore_command = 'cp ''/a\\\\b/%f'' %p'\n")
    assert (tmp_path / "recovery.signal").exists()


def test_a_copy_of_a_standby_stays_one(tmp_path: Path) -> None:
    (tmp_path / "standby.signal").touch()
    prepare(tmp_path, "cp /archive/%f %p")
    assert not (tmp_path / "recovery.signal").exists()
