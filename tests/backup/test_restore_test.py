"""A real Postgres is backed up, verified, restored and started; and a broken copy is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.exits import Exit
from backup.postgres.verifybackup import program
from backup.restore.restore_test import Questions, restore_test
from backup.restore.verify import problems
from backup.restore.walk import Opened
from backup.store.layout import Published
from backup.store.seal import KEY_VARIABLE, Key
from backup.store.store import Store
from backup.upkeep.checks import read_checks
from tests.backup.commands import knockon_backup
from tests.backup.makebackup import Cluster, processes_of, publish, running_cluster

QUERY = "SELECT count(*) FROM main_t JOIN side_t USING (n)"
KEY_HEX = "5a" * 32


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as found:
        yield found


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Below a path that Postgres' own user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="knockon-test.") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def store(place: Path) -> Store:
    return Store.open(f"file://{place}/store", create=True)


@pytest.fixture(scope="module")
def published(cluster: Cluster, store: Store) -> Published:
    return publish(cluster, store)


@pytest.fixture
def work(place: Path) -> Iterator[Path]:
    folder = place / "work"
    folder.mkdir(mode=0o755)
    yield folder
    assert list(folder.iterdir()) == []
    folder.rmdir()


@pytest.mark.parametrize("checksums", ["SHA256", "CRC32C", "SHA512", "NONE"])
def test_a_real_backup_is_well(cluster: Cluster, store: Store, checksums: str) -> None:
    assert list(problems(Opened(store, publish(cluster, store, checksums=checksums)))) == []


def test_it_starts_and_answers_and_nothing_is_left(
    store: Store,
    published: Published,
    place: Path,
    work: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"file://{place}/store"
    words = ("restore-test", published.id, "--from", url, "--work-dir", str(work), "--query", QUERY)
    assert knockon_backup(*words) == Exit.DONE
    said = capsys.readouterr().out
    assert "restores and starts" in said
    assert "the query gave 20000" in said
    assert "pg_verifybackup 15 agrees" in said
    assert "sound (amcheck)" in said or "amcheck is not installed" in said
    checks = read_checks(store, published.id)
    assert checks.restore_test is not None
    assert checks.restore_test.ok
    assert checks.restore_test.took_s > 0
    assert processes_of(work) == []


def test_a_folder_closed_to_postgres_is_no_bad_backup(
    store: Store,
    place: Path,
    published: Published,
    work: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs Postgres as somebody else")
    work.chmod(0o700)
    before = read_checks(store, published.id)
    words = ("restore-test", published.id, "--from", f"file://{place}/store")
    assert knockon_backup(*words, "--work-dir", str(work)) == Exit.USER_ERROR
    assert f"postgres, as whom Postgres would run, may not enter {work}" in capsys.readouterr().err
    assert read_checks(store, published.id) == before


def test_an_encrypted_backup_needs_its_key(
    cluster: Cluster,
    place: Path,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"file://{place}/sealed"
    store = Store.open(url, create=True)
    publish(cluster, store, key=Key(bytes.fromhex(KEY_HEX)))
    stored = b"".join(store.read(one.key) for one in store.list() if "base.tar" in one.key)
    assert b"knockon-seal" in stored
    words = ("restore-test", "--from", url, "--work-dir", str(work), "--query", QUERY)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert knockon_backup(*words) == Exit.USER_ERROR
    assert KEY_VARIABLE in capsys.readouterr().err
    monkeypatch.setenv(KEY_VARIABLE, "11" * 32)
    assert knockon_backup(*words) == Exit.USER_ERROR
    monkeypatch.setenv(KEY_VARIABLE, KEY_HEX)
    assert knockon_backup(*words) == Exit.DONE


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT count(*) > 1000000 FROM main_t", "the query gave False"),
        ("SELECT 1 WHERE false", "no row"),
        ("SELECT * FROM never_made", "never_made"),
        ("DROP TABLE main_t", "read-only"),
    ],
)
def test_a_query_that_fails_fails_the_test(
    store: Store, published: Published, work: Path, query: str, says: str
) -> None:
    with pytest.raises(Exception, match=says):
        restore_test(Opened(store, published), work, Questions(query=query))


def test_an_unknown_role_is_the_users_to_mend(
    store: Store, published: Published, work: Path
) -> None:
    with pytest.raises(Exception, match="no role nobody"):
        restore_test(Opened(store, published), work, Questions(role="nobody", timeout_s=20))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_command_killed_half_way_leaves_no_server_and_the_next_run_sweeps(
    published: Published, place: Path, work: Path, number: signal.Signals
) -> None:
    url = f"file://{place}/store"
    code = "import sys; from tests.backup.commands import *; exit(knockon_backup(*sys.argv[1:]))"
    words = ("restore-test", published.id, "--from", url, "--work-dir", str(work))
    child = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--query", "SELECT pg_sleep(60)"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
    )
    until_s = time.monotonic() + 60
    while not any("pg_sleep" in line for line in _titles(work)):
        assert child.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.05)
    child.send_signal(number)
    status = child.wait()
    while processes_of(work):
        assert time.monotonic() < until_s, "the scratch server outlived its parent"
        time.sleep(0.05)
    if number is signal.SIGTERM:
        assert status == Exit.ABORTED
        assert list(work.iterdir()) == []
    assert knockon_backup(*words) == Exit.DONE


def _titles(work: Path) -> list[str]:
    """Activity of servers below a folder; SELECT in a title is all a backend says."""
    tool = program("psql", 15)
    sockets = [path.parent for path in work.glob("*/.s.PGSQL.*[0-9]")]
    question = (
        "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
    )
    found = []
    for folder in sockets:
        done = subprocess.run(
            [str(tool), "-h", str(folder), "-U", "postgres", "-XAtqc", question, "postgres"],
            capture_output=True,
            text=True,
            check=False,
        )
        found += done.stdout.splitlines()
    return found


def test_the_restored_directory_starts_by_the_command_that_is_printed(
    cluster: Cluster, published: Published, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, target, side = f"file://{place}/store", place / "restored", place / "restored-side"
    words = ["restore", published.id, "--from", url, "--target", str(target)]
    words += ["-T", f"{cluster.folder}/space={side}"]
    if cluster.user:
        words += ["--owner", cluster.user]
    assert knockon_backup(*words) == Exit.DONE
    assert f"pg_ctl -D {target} start" in capsys.readouterr().out
    options = f"-p 5432 -k {target} -h '' -F -c archive_mode=off"
    copy = Cluster(target, cluster.user)
    copy.run("pg_ctl", "-D", str(target), "-o", options, "-l", f"{target}/log", "-w", "start")
    try:
        where = ("-h", str(target), "-U", "postgres", "-XAtqc", QUERY)
        assert copy.run("psql", *where).strip() == "20000"
    finally:
        copy.run("pg_ctl", "-D", str(target), "-m", "immediate", "-w", "stop")
        shutil.rmtree(target)
        shutil.rmtree(side)


def test_the_scratch_directory_of_verify_is_removed(
    published: Published, place: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("verify", published.id, "--from", f"file://{place}/store", "--scratch", str(work))
    assert knockon_backup(*words) == Exit.DONE
    assert "pg_verifybackup 15 agrees" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must choose another user")
def test_root_needs_a_user_for_postgres(store: Store, published: Published, work: Path) -> None:
    with pytest.raises(Exception, match="no user nobody-there"):
        restore_test(Opened(store, published), work, Questions(user="nobody-there"))
