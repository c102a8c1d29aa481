"""Restore: whole or not at all, where it was told to, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import UserError
from backup.exits import Exit, Failure
from backup.fields import Malformed
from backup.restore.landing import MARK, Landing
from backup.restore.restore import Order, how_to_start, mappings, restore
from backup.restore.walk import Opened
from backup.store.layout import Archive, Published, Role, Tablespace, WalMode
from backup.store.store import Store
from tests.backup.commands import knockon_backup
from tests.backup.forged import HONEST, SIDE, File, archive, forge, segment


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"file://{tmp_path}/store", create=True)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def honest_tree() -> dict[str, bytes]:
    return {file.path: file.data for file in HONEST if file.kind == tarfile.REGTYPE}


def order(target: Path, **mapping: str) -> Order:
    return Order(target, {f"/srv/{old}": new for old, new in mapping.items()}, with_tool=False)


def test_every_file_is_back_and_private(store: Store, tmp_path: Path) -> None:
    target, side = tmp_path / "new/data", tmp_path / "side"
    done = restore(Opened(store, forge(store, side=SIDE)), order(target, side=str(side)))
    restored = tree(target)
    assert restored.pop("backup_manifest").startswith(b'{ "PostgreSQL-Backup')
    assert restored == honest_tree()
    assert tree(side) == {"PG_15_202209061/5/16390": b"side" * 99}
    assert (target / "pg_tblspc/16385").readlink() == side
    assert done.tablespaces == {16385: side}
    for path in (target, side, target / "base/1", target / "PG_VERSION"):
        assert path.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.rglob("*.partial")] == []


def test_wal_received_beside_the_backup_is_placed(store: Store, tmp_path: Path) -> None:
    files = tuple(file for file in HONEST if file.path != segment(1).path)
    bare = forge(store, files, wal=WalMode.STREAM)
    name = segment(1).path.removeprefix("pg_wal/")
    wal = archive(store, bare.id, f"wal/{name}", Role.WAL, segment(1).data)
    opened = Opened(store, _with(bare, wal))
    restore(opened, order(tmp_path / "data"))
    assert (tmp_path / "data/pg_wal" / name).read_bytes() == segment(1).data
    with pytest.raises(Malformed, match="WAL from 0x100000"):
        restore(Opened(store, bare), order(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


def _with(published: Published, extra: Archive) -> Published:
    return replace(published, archives=(*published.archives, extra))


@pytest.mark.parametrize("content", ["file", "folder", ".hidden"])
def test_a_target_that_holds_anything_is_refused(
    store: Store, tmp_path: Path, content: str
) -> None:
    target = tmp_path / "data"
    target.mkdir()
    (target / content).mkdir() if content == "folder" else (target / content).touch()
    with pytest.raises(UserError, match="not empty") as told:
        restore(Opened(store, forge(store)), order(target))
    assert "never overwrite" in told.value.hint
    assert [path.name for path in target.iterdir()] == [content]


def test_an_empty_target_and_a_left_over_try_of_ours_are_fine(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    partial = tmp_path / "data.partial"
    (partial / "base").mkdir(parents=True)
    (partial / MARK).touch()
    restore(Opened(store, forge(store)), order(tmp_path / "data"))
    assert not partial.exists()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_left_over_that_is_not_ours_is_left_alone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data.partial").mkdir()
    (tmp_path / "data.partial/precious").touch()
    with pytest.raises(UserError, match="not ours"):
        restore(Opened(store, forge(store)), order(tmp_path / "data"))
    assert (tmp_path / "data.partial/precious").exists()


def test_links_and_files_are_no_targets(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(UserError, match="not a directory"):
            restore(Opened(store, forge(store)), order(tmp_path / name))
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "evil",
    [
        File("../escaped", b"x"),
        File("base/../../escaped", b"x"),
        File("/tmp/escaped", b"x"),
        File("base/1/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        File("base/hard", kind=tarfile.LNKTYPE, link="PG_VERSION"),
        File("pg_tblspc/666", kind=tarfile.SYMTYPE, link="/etc"),
        File("base/device", kind=tarfile.CHRTYPE),
        File("base/block", kind=tarfile.BLKTYPE),
        File("base/pipe", kind=tarfile.FIFOTYPE),
        File("PG_VERSION/below-a-file", b"x"),
        File("base/1", b"a file where a folder is"),
    ],
)
def test_hostile_archives_write_nothing_anywhere(store: Store, tmp_path: Path, evil: File) -> None:
    before = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    opened = Opened(store, forge(store, (*HONEST, evil)))
    with pytest.raises(UserError):
        restore(opened, order(tmp_path / "data"))
    left = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    assert left == before
    assert not Path("/tmp/escaped").exists()


def test_a_link_of_an_old_server_is_made_anew(store: Store, tmp_path: Path) -> None:
    link = File("pg_tblspc/16385", kind=tarfile.SYMTYPE, link="/etc")
    opened = Opened(store, forge(store, (*HONEST, link), side=SIDE))
    restore(opened, order(tmp_path / "data", side=str(tmp_path / "side")))
    assert (tmp_path / "data/pg_tblspc/16385").readlink() == tmp_path / "side"


@pytest.mark.parametrize("which", [0, 1])
def test_a_truncated_object_leaves_nothing_half_way(
    store: Store, tmp_path: Path, which: int, capsys: pytest.CaptureFixture[str]
) -> None:
    published = forge(store)
    path = f"{published.id}/{published.archives[which].objects[0].key}"
    store.put(path, store.read(path)[:-7])
    url, target = f"file://{tmp_path}/store", tmp_path / "data"
    assert knockon_backup("restore", "--from", url, "--target", str(target)) == Exit.NOT_VERIFIED
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


_DYING = """
import os, sys
from backup.restore.landing import Landing
from tests.backup.commands import knockon_backup

whole, left = Landing.file, iter(range(int(sys.argv[1])))

def dying(self, path, pieces):
    if next(left, None) is None:
        os._exit(9)
    whole(self, path, pieces)

Landing.file = dying
knockon_backup(*sys.argv[2:])
"""


@pytest.mark.parametrize("after", [0, 3, 6])
def test_a_crash_at_any_file_leaves_no_target_and_the_next_try_succeeds(
    store: Store, tmp_path: Path, after: int
) -> None:
    forge(store)
    target = tmp_path / "data"
    words = ("restore", "--from", f"file://{tmp_path}/store", "--target", str(target))
    root = Path(__file__).parents[2]
    # A process of its own: the store's library has threads, which do not survive a fork.
    died = subprocess.run([sys.executable, "-c", _DYING, str(after), *words], cwd=root, check=False)
    assert died.returncode == 9
    assert not target.exists()
    restore(Opened(store, forge(store)), order(target))
    assert (target / "global/pg_control").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a small file system")
def test_no_space_is_one_line_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(small)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a small file system")
    try:
        with pytest.raises(Failure, match="free, the backup needs") as told:
            restore(Opened(store, forge(store)), order(small))
        assert told.value.status == Exit.FAILED
        assert list(small.iterdir()) == []
        many = Landing.prepare(small)
        with pytest.raises(Failure, match="no space left"):
            many.file("big", iter([bytes(1 << 20)] * 3))
        many.discard()
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a file system")
def test_a_mount_point_is_filled_from_within(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "volume"
    target.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(target)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a file system")
    try:
        (target / "lost+found").mkdir()
        restore(Opened(store, forge(store)), order(target))
        assert tree(target).keys() == honest_tree().keys() | {"backup_manifest"}
        assert target.stat().st_mode & 0o777 == 0o700
    finally:
        subprocess.run(["umount", str(target)], check=True)


def test_a_backup_larger_than_the_volume_is_refused_before_anything_is_written(
    store: Store, tmp_path: Path
) -> None:
    published = forge(store)
    huge = replace(published.archives[0], plain_bytes=1 << 60)
    opened = Opened(store, replace(published, archives=(huge, *published.archives[1:])))
    with pytest.raises(UserError, match="the backup needs"):
        restore(opened, order(tmp_path / "data"))
    assert not (tmp_path / "data.partial").exists()


# ------------------------------------------------------------------------------------- tablespaces
def test_mappings_are_read_as_pg_basebackup_reads_them() -> None:
    assert mappings(["/a=/b", r"/with\=sign=/c/", "/d/=/e"]) == {
        "/a": "/b",
        "/with=sign": "/c/",
        "/d": "/e",
    }
    for bad in ("/a", "a=/b", "/a=b", "=", ""):
        with pytest.raises(UserError, match="no mapping"):
            mappings([bad])


def test_a_mapping_of_nothing_is_the_users_to_mend(store: Store, tmp_path: Path) -> None:
    opened = Opened(store, forge(store, side=SIDE))
    with pytest.raises(UserError, match="no tablespace at /srv/typo") as told:
        restore(opened, order(tmp_path / "data", typo="/x"))
    assert "/srv/side" in told.value.hint


def test_a_tablespace_in_use_is_refused_and_nothing_is_left(store: Store, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used/PG_15_202209061").mkdir()
    opened = Opened(store, forge(store, side=SIDE))
    with pytest.raises(UserError, match="not empty"):
        restore(opened, order(tmp_path / "data", side=str(tmp_path / "used")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store", "used"]


def test_two_tablespaces_cannot_share_a_directory(store: Store, tmp_path: Path) -> None:
    published = forge(store, side=SIDE)
    two = replace(published, tablespaces=(*published.tablespaces, Tablespace(16386, "/srv/b")))
    with pytest.raises(UserError, match="share"):
        restore(Opened(store, two), order(tmp_path / "data", side="/x/y", b="/x/y"))


def test_it_says_how_to_start(store: Store) -> None:
    assert "pg_ctl -D /data start" in how_to_start(forge(store), Path("/data"))
    archived = how_to_start(forge(store, wal=WalMode.ARCHIVED), Path("/data"))
    assert "--restore-command" in archived
    assert "recovery.signal" in archived
    ready = how_to_start(forge(store, wal=WalMode.ARCHIVED), Path("/data"), prepared=True)
    assert ready.startswith("start it with Postgres 15")
