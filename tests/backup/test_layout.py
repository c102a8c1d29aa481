"""The published manifest: it comes back as it was, and nothing else passes for one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.fields import Malformed
from backup.store.layout import (
    Archive,
    Published,
    Role,
    StoredObject,
    Tablespace,
    WalMode,
    from_json,
    id_time_s,
    is_id,
    new_id,
    to_json,
)
from backup.store.seal import Key

SAMPLE = Published(
    id="20261123T114416Z-0a1b2c3d",
    started_at_s=1795434256.0,
    finished_at_s=1795434300.25,
    server_version=150018,
    system_identifier="7300000000000000001",
    timeline=1,
    start_lsn="0/2000028",
    end_lsn="0/2000100",
    wal=WalMode.FETCH,
    archives=(
        Archive("base.tar", Role.BASE, 1000, (StoredObject("base.tar.zst.000000", 10, "ab" * 32),)),
    ),
    tablespaces=(Tablespace(16385, "/srv/π space"),),
    statistics={"throttled_s": 1.5},
)


def test_it_comes_back_as_it_was() -> None:
    assert from_json(to_json(SAMPLE)) == SAMPLE


def test_a_key_signs_it() -> None:
    key = Key(b"k" * 32)
    assert from_json(to_json(SAMPLE, key.sign), key.check) == SAMPLE
    with pytest.raises(Malformed, match="signature"):
        from_json(to_json(SAMPLE), key.check)
    with pytest.raises(Malformed, match="signature"):
        from_json(to_json(SAMPLE, Key(b"x" * 32).sign), key.check)


def test_a_changed_byte_is_noticed() -> None:
    changed = to_json(SAMPLE).replace(b'"timeline": 1', b'"timeline": 2')
    with pytest.raises(Malformed, match="changed after it was written"):
        from_json(changed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../../etc"),
        ("server_version", "15"),
        ("server_version", True),
        ("timeline", -1),
        ("finished_at_s", 1e999),
        ("wal", "somehow"),
        ("archives", {"name": "base.tar"}),
        ("archives", [{"name": "/etc/passwd"}]),
        ("tablespaces", None),
        ("wal_segment_bytes", 0),
        ("statistics", {"a": "b"}),
        ("schema", "knockon-backup/v9"),
    ],
)
def test_wrong_types_are_named(field: str, value: object) -> None:
    body = json.loads(to_json(SAMPLE)) | {field: value}
    with pytest.raises(Malformed):
        from_json(_with_right_checksum(body))


@pytest.mark.parametrize("name", ["../x", "/x", "a/../b", "a/b/c", "", ".hidden", "a\n"])
def test_keys_cannot_leave_the_folder(name: str) -> None:
    bad = replace(SAMPLE.archives[0], objects=(StoredObject(name, 1, "ab" * 32),))
    with pytest.raises(Malformed, match="key"):
        from_json(to_json(replace(SAMPLE, archives=(bad,))))


@given(st.binary(max_size=300))
def test_garbage_is_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Malformed):
        from_json(data)


def test_deep_nesting_and_huge_numbers_are_malformed() -> None:
    for data in (b"[" * 100_000, b'{"schema": ' + b"9" * 10_000 + b"}", b"null", b"\xff"):
        with pytest.raises(Malformed):
            from_json(data)


def test_ids_sort_by_time_and_do_not_meet() -> None:
    early, late = new_id(1795434256.0), new_id(1795434257.0)
    assert early < late
    assert new_id(0.0) != new_id(0.0)
    assert is_id(early)
    assert id_time_s(early) == 1795434256.0
    assert not any(map(is_id, ("", "lock.json", "20261123T114416Z", early + "/..")))


def _with_right_checksum(body: dict[str, object]) -> bytes:
    import hashlib

    rest = {name: value for name, value in body.items() if name not in ("checksum", "signature")}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    return json.dumps(rest | {"checksum": hashlib.sha256(text).hexdigest()}).encode()
