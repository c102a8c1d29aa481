"""Verification: everything that can be wrong with a stored backup is found and named."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from backup.commands import main
from backup.exits import Exit
from backup.fields import Malformed
from backup.postgres.manifest import hasher, parse_manifest
from backup.restore.verify import problems
from backup.restore.walk import Opened
from backup.store.layout import WalMode, checks_key, published_key, to_json
from backup.store.store import Store
from backup.upkeep.checks import read_checks
from tests.backup.commands import knockon_backup
from tests.backup.forged import HONEST, SIDE, File, forge, manifest, manifest_text, segment


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"file://{tmp_path}/store", create=True)


def found(store: Store, *args: object, **kwargs: object) -> list[str]:
    return list(problems(Opened(store, forge(store, *args, **kwargs))))  # type: ignore[arg-type]


def test_an_honest_backup_is_well(store: Store) -> None:
    assert found(store, side=SIDE) == []


def without(path: str) -> tuple[File, ...]:
    return tuple(file for file in HONEST if file.path != path)


def changed(path: str, data: bytes) -> tuple[File, ...]:
    return tuple(replace(file, data=data) if file.path == path else file for file in HONEST)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (without("base/1/1259"), "base/1/1259 is missing"),
        (without("base/1/empty"), "base/1/empty is missing"),
        (without("backup_label"), "backup_label is missing"),
        (changed("PG_VERSION", b"16\n"), "PG_VERSION has another SHA256 checksum"),
        (changed("base/1/1259", b"short"), "base/1/1259 has 5 bytes, not 179200"),
        ((*HONEST, File("base/1/extra", b"x")), "base/1/extra is not in Postgres' list"),
        ((*HONEST, File("recovery.signal")), "recovery.signal is not in Postgres' list"),
        ((*HONEST, HONEST[0]), "PG_VERSION is there twice"),
        ((*HONEST, File("pg_wal/evil.so", b"x")), "pg_wal/evil.so is no WAL"),
        (without(segment(1).path), "WAL from 0x100000 on is missing"),
        ((*without(segment(1).path), segment(1, 5000)), "has 5000 bytes, not 1048576"),
        (
            (*without(segment(1).path), replace(segment(2), path=segment(1).path)),
            "does not hold what its name says",
        ),
    ],
)
def test_what_is_not_as_listed_is_named(store: Store, files: tuple[File, ...], says: str) -> None:
    wrong = found(store, files, listed=HONEST)
    assert len(wrong) == 1
    assert says in wrong[0]


def test_wal_in_the_archive_is_not_missed(store: Store) -> None:
    assert found(store, without(segment(1).path), wal=WalMode.ARCHIVED) == []


def test_each_archive_is_read_even_if_one_is_bad(store: Store) -> None:
    side = (*SIDE, File("PG_15_202209061/5/16391", b"unlisted"))
    published = forge(store, (*HONEST, File("base/1/extra")), listed=HONEST, side=SIDE)
    assert len(list(problems(Opened(store, published)))) == 1
    both = forge(store, (*HONEST, File("base/1/extra")), listed=HONEST, side=side)
    assert len(list(problems(Opened(store, both)))) == 1


def test_a_listing_alone_finds_what_is_cut_or_gone(store: Store) -> None:
    published = forge(store)
    key = published.archives[0].objects[0].key
    store.put(f"{published.id}/{key}", b"cut")
    store.delete([f"{published.id}/{published.archives[1].objects[0].key}"])
    assert list(problems(Opened(store, published))) == [
        f"{key}: 3 bytes where {published.archives[0].objects[0].size_bytes} were stored",
        "backup_manifest.zst.000000: the object is gone",
    ]


def test_every_flipped_bit_in_the_store_is_found(store: Store) -> None:
    published = forge(store)
    chance = random.Random(7)
    for archive in published.archives:
        path = f"{published.id}/{archive.objects[0].key}"
        whole = store.read(path)
        for _ in range(40):
            data = bytearray(whole)
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            store.put(path, bytes(data))
            assert list(problems(Opened(store, published)))
        store.put(path, whole)
    assert list(problems(Opened(store, published))) == []


def test_a_forged_archive_with_a_right_checksum_still_fails_postgres_list(store: Store) -> None:
    honest = forge(store)
    forged = forge(store, changed("global/pg_control", b"forged!" * 100))
    mixed = replace(honest, archives=(forged.archives[0], honest.archives[1]))
    for archive in forged.archives:
        for one in archive.objects:
            store.put(f"{honest.id}/{one.key}", store.read(f"{forged.id}/{one.key}"))
    store.put(f"{honest.id}/backup_manifest.zst.000000", _honest_manifest(store))
    assert any("pg_control" in wrong for wrong in problems(Opened(store, mixed)))


def _honest_manifest(store: Store) -> bytes:
    other = forge(store)
    return store.read(f"{other.id}/backup_manifest.zst.000000")


def test_the_command_records_what_it_found(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, published = f"file://{tmp_path}/store", forge(store)
    before = store.read(published_key(published.id))
    assert knockon_backup("verify", "--from", url) == Exit.DONE
    assert "every file is as Postgres listed it" in capsys.readouterr().out
    assert read_checks(store, published.id).passed
    path = f"{published.id}/{published.archives[0].objects[0].key}"
    store.put(path, b"x" * store.head(path).size_bytes)
    assert knockon_backup("verify", published.id, "--from", url) == Exit.NOT_VERIFIED
    assert "do not rely on it" in capsys.readouterr().out
    assert read_checks(store, published.id).failed
    assert store.read(published_key(published.id)) == before
    assert knockon_backup("list", "--from", url) == Exit.DONE
    assert "FAILED" in capsys.readouterr().out


def test_a_manifest_tampered_with_is_told_and_nothing_is_read(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, published = f"file://{tmp_path}/store", forge(store)
    path = published_key(published.id)
    store.put(path, store.read(path).replace(b"150018", b"160001"))
    assert knockon_backup("verify", published.id, "--from", url) == Exit.NOT_VERIFIED
    assert "changed after it was written" in capsys.readouterr().err
    assert knockon_backup("list", "--from", url) == Exit.DONE
    assert "damaged" in capsys.readouterr().out


def test_a_manifest_of_another_backup_is_told(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = forge(store), forge(store)
    store.put(published_key(one.id), to_json(other))
    assert (
        knockon_backup("verify", one.id, "--from", f"file://{tmp_path}/store") == Exit.NOT_VERIFIED
    )
    assert f"belongs to {other.id}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nonsense", "20200101T000000Z-00000000", "../x"])
def test_a_backup_that_is_not_there_is_the_users_to_mend(
    store: Store, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(store)
    assert knockon_backup("verify", name, "--from", f"file://{tmp_path}/store") == Exit.USER_ERROR
    assert "knockon backup list" in capsys.readouterr().err


def test_checks_that_cannot_be_read_are_no_checks(store: Store) -> None:
    published = forge(store)
    for data in (b"", b"[]", b'{"verify": 5}', b'{"verify": {"ok": "yes"}}'):
        store.put(checks_key(published.id), data)
        assert not read_checks(store, published.id).passed


def test_crc32c_is_known_with_and_without_a_library() -> None:
    from backup.postgres import manifest as pg_manifest

    digest = hasher("CRC32C")
    assert digest is not None
    digest.update(b"123456789")
    assert digest.hexdigest() == "839206e3"  # RFC 3720's check value e3069283, little-endian
    assert pg_manifest._extend_slowly(0, b"123456789") == 0xE3069283


def test_a_cut_or_changed_list_is_refused() -> None:
    text = manifest_text(manifest(HONEST))
    assert len(parse_manifest(text).files) == 5
    for bad in (
        text[:-20],
        text[:100],
        b"",
        text.replace(b"PG_VERSION", b"PG_VERSIOM"),
        text + b" x",
    ):
        with pytest.raises(Malformed):
            parse_manifest(bad)


def test_hostile_lists_are_refused() -> None:
    rows = manifest(HONEST)
    hostile: tuple[list[dict[str, object]], ...] = (
        [rows[0], rows[0]],
        [rows[0] | {"Size": -1}],
        [rows[0] | {"Size": "3"}],
        [{"Size": 3}],
        [{"Encoded-Path": "zz", "Size": 3}],
    )
    for bad in hostile:
        with pytest.raises(Malformed):
            parse_manifest(manifest_text(bad))
    with pytest.raises(Malformed, match="no checksum that we know"):
        hasher("MD5")


def test_paths_that_are_no_utf8_are_read() -> None:
    rows: list[dict[str, object]] = [{"Encoded-Path": "62617365ff", "Size": 0}]
    assert list(parse_manifest(manifest_text(rows)).files) == ["base\udcff"]


def test_what_a_check_found_is_kept_for_the_alerts(store: Store, tmp_path: Path) -> None:
    place = f"file://{tmp_path}/store"
    asked = ("verify", "--from", place, "--name", "pg-main", "--metrics-textfile", str(tmp_path))
    published = forge(store)
    assert main(asked) == Exit.DONE
    page = tmp_path / "knockon_backup_pg-main.prom"
    assert 'knockon_backup_verify_good{database="pg-main"} 1.0' in page.read_text()
    store.delete([f"{published.id}/{published.archives[0].objects[0].key}"])
    assert main(asked) == Exit.NOT_VERIFIED
    assert 'knockon_backup_verify_good{database="pg-main"} 0.0' in page.read_text()


def test_a_check_that_could_not_look_says_nothing_about_the_backup(tmp_path: Path) -> None:
    asked = ("verify", "--from", f"file://{tmp_path}/gone", "--metrics-textfile", str(tmp_path))
    assert main(asked) == Exit.USER_ERROR
    assert list(tmp_path.glob("*.prom")) == []
