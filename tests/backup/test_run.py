"""`knockon backup run` against a real server: it works, and leaves nothing behind when killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.metrics import file_name, named_after
from backup.store.layout import Role, from_json
from backup.store.seal import Key
from tests.backup.client import (
    command,
    finish,
    paced_run,
    start_paced,
)
from tests.backup.cluster import Cluster, free_port


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store"


def published(target: str) -> list[Path]:
    return sorted(Path(target.removeprefix("file://")).glob("*/knockon.json"))


def run_of(dsn: str, target: str, *more: str) -> tuple[str, ...]:
    return ("--dsn", dsn, "--to", target, "--fast-checkpoint", "--ceiling", "40MB/s", *more)


@pytest.mark.parametrize("wal", ["stream", "fetch", "archived"])
def test_a_backup_is_published_whole(small: Cluster, target: str, wal: str) -> None:
    if wal == "archived":
        small.sql("ALTER SYSTEM SET archive_mode = 'on'")
        small.restart()
    status, said = paced_run(*run_of(small.dsn, target, "--wal", wal))
    assert status == 0, said
    [manifest] = published(target)
    backup = from_json(manifest.read_bytes())
    assert backup.verified_in_stream
    assert {role.value for role in {one.role for one in backup.archives}} == {
        "base",
        "manifest",
        *(["wal"] if wal == "stream" else []),
    }
    assert not (manifest.parent.parent / "lock.json").exists()
    assert small.quiet()
    assert command("verify", "--from", target)[0] == 0


def test_tablespaces_and_encryption(small: Cluster, target: str, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("0f" * 32)
    key_file.chmod(0o600)
    small.tablespace("apart")
    small.sql(
        "CREATE TABLE IF NOT EXISTS there TABLESPACE apart AS SELECT generate_series(1, 1000)"
    )
    status, said = paced_run(*run_of(small.dsn, target, "--encrypt-key-file", str(key_file)))
    assert status == 0, said
    [manifest] = published(target)
    backup = from_json(manifest.read_bytes(), Key(b"\x0f" * 32).check)
    assert [one.location for one in backup.tablespaces] == [str(small.folder / "apart")]
    assert len(backup.of_role(Role.TABLESPACE)) == 1
    assert all(one.sealed for one in backup.archives)
    assert command("verify", "--from", target, "--key-file", str(key_file))[0] == 0


def test_over_tcp_too(small: Cluster, target: str) -> None:
    status, said = paced_run(*run_of(small.tcp_dsn, target))
    assert status == 0, said
    assert small.quiet()


def test_a_later_run_works(small: Cluster, target: str) -> None:
    process = start_paced(*run_of(small.dsn, target))
    small.backup_pid()
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 6
    assert paced_run(*run_of(small.dsn, target))[0] == 0
    assert len(published(target)) == 1


@pytest.fixture
def running(small: Cluster, target: str) -> Iterator[subprocess.Popen[str]]:
    process = start_paced(*run_of(small.dsn, target))
    small.backup_pid()
    yield process
    process.terminate()
    finish(process)


def test_a_second_run_is_told_who_is_first(
    small: Cluster, target: str, running: subprocess.Popen[str]
) -> None:
    assert running.poll() is None
    status, said = paced_run(*run_of(small.dsn, target))
    assert status == 4
    assert f"pid {running.pid}" in said
    assert len(said.strip().splitlines()) == 1


def test_the_retry_of_a_killed_run_waits_for_its_lock(small: Cluster, target: str) -> None:
    first = start_paced(*run_of(small.dsn, target))
    small.backup_pid()
    first.kill()
    finish(first)
    lock = Path(target.removeprefix("file://")) / "lock.json"
    status, said = paced_run(*run_of(small.dsn, target))
    assert status == 4, "without being told to, nobody waits"
    retry = start_paced(*run_of(small.dsn, target, "--lock-wait", "1m"))
    time.sleep(3.0)
    assert retry.poll() is None
    long_ago_s = lock.stat().st_mtime - 200
    os.utime(lock, (long_ago_s, long_ago_s))
    status, said = finish(retry)
    assert status == 0, said
    assert f"pid {first.pid}" in said
    assert "waiting for it" in said


def test_somebody_ends_the_walsender(small: Cluster, target: str) -> None:
    process = start_paced(*run_of(small.dsn, target))
    small.sql(f"SELECT pg_terminate_backend({small.backup_pid()})")
    status, said = finish(process)
    assert status == 1
    assert "the server ended the connection" in said
    assert published(target) == []
    assert small.quiet()


def test_a_passed_deadline_stops_where_it_is_asked_to(small: Cluster, target: str) -> None:
    process = start_paced(*run_of(small.dsn, target, "--deadline", "2s", "--on-miss", "stop"))
    status, said = finish(process)
    assert status == 5, said
    assert published(target) == []
    assert small.quiet()


def test_damaged_pages_end_the_backup(damaged: Cluster, target: str) -> None:
    status, said = paced_run(*run_of(damaged.dsn, target))
    assert status == 3, said
    assert "damaged pages" in said
    assert published(target) == []
    assert damaged.quiet()


def test_a_full_disk_at_the_target(small: Cluster, full_disk: Path) -> None:
    status, said = paced_run(*run_of(small.dsn, f"file://{full_disk}/store"))
    assert status in (1, 2), said
    assert "space" in said or "free" in said
    assert [one for one in (full_disk / "store").rglob("*") if one.name != "lock.guard"] == []
    assert small.quiet()


def test_a_strangers_folder_is_refused(small: Cluster, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    status, said = paced_run(*run_of(small.dsn, f"file://{tmp_path}"))
    assert status == 2
    assert "photos" in said


@pytest.mark.parametrize(
    ("dsn", "status", "words"),
    [
        ("host=/nowhere/at/all user=x", 1, "nobody listens"),
        ("host=127.0.0.1 port=1 user=x", 1, "nobody listens"),
        ("host=no.such.host.invalid user=x", 2, "does not resolve"),
        ("hots=typo", 2, "the DSN cannot be read"),
        ("postgresql://[broken", 2, "the DSN cannot be read"),
    ],
)
def test_a_wrong_dsn(target: str, dsn: str, status: int, words: str) -> None:
    ended, said = paced_run(*run_of(dsn, target))
    assert (ended, len(said.strip().splitlines())) == (status, 1), said
    assert words in said


def test_a_role_without_the_right(small: Cluster, target: str) -> None:
    small.sql("DROP ROLE IF EXISTS humble; CREATE ROLE humble LOGIN")
    status, said = paced_run(*run_of(small.dsn.replace("user=postgres", "user=humble"), target))
    assert status == 2
    assert "may not replicate" in said
    assert "ALTER ROLE" in said
    assert small.quiet()


def test_a_role_with_nothing_but_the_right(small: Cluster, target: str) -> None:
    small.sql("DROP ROLE IF EXISTS backup; CREATE ROLE backup LOGIN REPLICATION")
    status, said = paced_run(*run_of(small.dsn.replace("user=postgres", "user=backup"), target))
    assert status == 0, said


def test_pg_hba_without_a_line(small: Cluster, target: str) -> None:
    hba = small.data / "pg_hba.conf"
    before = hba.read_text()
    try:
        hba.write_text("local all all trust\nhost all all 127.0.0.1/32 trust\n")
        small.reload()
        status, said = paced_run(*run_of(small.tcp_dsn, target))
    finally:
        hba.write_text(before)
        small.reload()
    assert status == 2
    assert "pg_hba.conf lets nobody replicate" in said
    assert "host replication postgres" in said
    assert published(target) == []
    assert small.quiet()


def test_progress_and_metrics_are_kept(small: Cluster, target: str, tmp_path: Path) -> None:
    status, said = paced_run(*run_of(small.dsn, target, "--metrics-textfile", str(tmp_path)))
    assert status == 0, said
    (kept,) = tmp_path.glob("*.prom")
    assert kept.name == file_name(named_after(target))
    page = kept.read_text()
    assert 'reason="done"} 1.0' in page
    assert "knockon_backup_last_success_timestamp_seconds" in page
    failed, _ = paced_run(
        *run_of("host=/nowhere user=x", target, "--metrics-textfile", str(tmp_path))
    )
    after = kept.read_text()
    assert failed == 1
    assert 'reason="failed"} 1.0' in after
    line = next(one for one in page.splitlines() if one.startswith("knockon_backup_last_success"))
    assert line in after


def test_metrics_are_served_while_it_runs(small: Cluster, target: str) -> None:
    from urllib.request import urlopen

    port = free_port()
    process = start_paced(*run_of(small.dsn, target, "--metrics-port", str(port)))
    try:
        small.backup_pid()
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            page = answer.read().decode()
    finally:
        process.terminate()
        finish(process)
    labels = f'{{database="{named_after(target)}"}}'
    assert f"knockon_backup_running{labels} 1.0" in page
    assert f"knockon_backup_max_rate_bytes_per_second{labels} 4e+07" in page
