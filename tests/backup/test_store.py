"""The store: directories, memory and a real S3 server, which is made to fail as clouds do."""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from agent.errors import UserError
from backup.exits import Exit, status_of
from backup.fields import Malformed
from backup.store.errors import Missing, StoreFailed, Taken
from backup.store.layout import Archive, Role, StoredObject, new_id
from backup.store.parts import (
    CONCURRENCY,
    PART_BYTES,
    PartWriter,
    part_bytes,
    plain_bytes_of,
    put_parts,
    stored_bytes_of,
)
from backup.store.places import opened
from backup.store.store import Patience, Store
from tests.backup.s3 import S3, Valve, refuse

NOW_S = 1_795_434_256.0
ID = new_id(NOW_S)


def test_objects_come_back_and_go(any_store: Store) -> None:
    store = any_store
    store.check()
    store.put("a/one", b"1")
    store.put("a/deep/two", b"22")
    store.put("b", b"")
    assert [(one.key, one.size_bytes) for one in store.list()] == [
        ("a/deep/two", 2),
        ("a/one", 1),
        ("b", 0),
    ]
    assert store.folders() == ("a",)
    assert store.read("a/one") == b"1"
    assert b"".join(store.read_stream("a/deep/two")) == b"22"
    assert b"".join(store.read_stream("b")) == b""
    store.delete(["a/one", "a/deep/two", "never/was"])
    assert [one.key for one in store.list()] == ["b"]
    assert store.folders() == ()
    with pytest.raises(Missing):
        store.read("a/one")


def test_a_new_object_must_be_new(any_store: Store) -> None:
    store = any_store
    store.put_new("x", b"1")
    with pytest.raises(Taken):
        store.put_new("x", b"2")
    assert store.read("x") == b"1"


def test_an_object_is_replaced_only_as_it_was_read(any_store: Store) -> None:
    store = any_store
    store.put("x", b"1")
    etag = store.head("x").version
    newer = store.replace("x", b"2", etag)
    with pytest.raises(Taken):
        store.replace("x", b"3", etag)
    assert store.read("x") == b"2"
    with pytest.raises(Taken):
        store.remove_if("x", etag)
    store.remove_if("x", newer)
    with pytest.raises((Taken, Missing)):
        store.replace("x", b"4", newer)
    assert store.list() == ()


def test_two_who_replace_at_once_cannot_both_succeed(any_store: Store) -> None:
    store = any_store
    store.put("x", b"0")
    etag = store.head("x").version
    won: list[int] = []

    def take(number: int) -> None:
        try:
            store.replace("x", b"%d" % number, etag)
            won.append(number)
        except Taken:
            pass

    threads = [threading.Thread(target=take, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("x") == b"%d" % won[0]


def test_parts_come_back_in_order(any_store: Store) -> None:
    store = any_store
    data = os.urandom(2 * PART_BYTES + 12345)
    stored = put_parts(
        store, ID, "base.tar", (data[at : at + 777_777] for at in range(0, len(data), 777_777))
    )
    assert [one.key for one in stored] == [f"base.tar.{n:06d}" for n in range(3)]
    archive = Archive("base.tar", Role.BASE, len(data), stored, compressed=False)
    assert b"".join(plain_bytes_of(store, ID, archive, None)) == data
    store.put(f"{ID}/base.tar.000001", b"short")
    with pytest.raises(Malformed, match="000001"):
        list(stored_bytes_of(store, ID, archive))
    store.delete([f"{ID}/base.tar.000001"])
    with pytest.raises(Malformed, match="gone"):
        list(stored_bytes_of(store, ID, archive))


def test_an_empty_archive_is_one_empty_part(any_store: Store) -> None:
    store = any_store
    assert [one.size_bytes for one in put_parts(store, ID, "x.tar", [])] == [0]


def test_few_parts_are_in_flight_and_memory_is_bounded() -> None:
    slow = SlowStore()
    with PartWriter(slow, ID, "base.tar") as writer:
        for _ in range(40):
            writer.write(bytes(PART_BYTES // 4))
            assert slow.flying <= CONCURRENCY
        writer.close()
    assert slow.most == CONCURRENCY


def test_parts_grow_so_that_a_terabyte_is_not_a_million_objects() -> None:
    assert part_bytes(0) == part_bytes(999) == PART_BYTES
    assert part_bytes(10**6) == 64 << 20
    whole, number = 0, 0
    while whole < 10**12:
        whole, number = whole + part_bytes(number), number + 1
    assert number < 20_000


class SlowStore(Store):
    """Counts how many parts are written at the same time."""

    def __init__(self) -> None:
        super().__init__(opened("memory://", create=False), "slow")
        self.flying = self.most = 0
        self._mutex = threading.Lock()

    def put(self, key: str, data: bytes) -> str:
        with self._mutex:
            self.flying += 1
            self.most = max(self.most, self.flying)
        time.sleep(0.01)
        with self._mutex:
            self.flying -= 1
        return super().put(key, data)


# ------------------------------------------------------------------------------------ when it fails
def test_a_busy_store_is_asked_again_and_it_is_counted(s3: S3) -> None:
    turn = itertools.count()
    s3.valve.fault = lambda _: refuse("503 Slow Down", "SlowDown") if next(turn) % 2 == 0 else None
    store = s3.store()
    store.put("x", b"1")
    assert store.read("x") == b"1"
    assert store.retries == 3


def test_a_store_that_stays_away_is_given_up(s3: S3) -> None:
    s3.valve.fault = lambda _: refuse("500 Internal Server Error", "InternalError")
    store = s3.store()
    with pytest.raises(StoreFailed) as told:
        store.put("x", b"1")
    assert status_of(told.value) == Exit.FAILED
    assert store.retries == Patience().attempts - 1


def test_a_lost_answer_to_a_conditional_write_is_recognised(s3: S3) -> None:
    lost = iter([True])

    def drop(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        if environ["REQUEST_METHOD"] == "PUT" and next(lost, False):
            list(s3.valve.behind(environ, lambda *_: None))
            environ["CONTENT_LENGTH"] = "0"
            return refuse("500 Internal Server Error", "InternalError")
        return None

    s3.valve.fault = drop
    store = s3.store()
    store.put_new("x", b"ours")
    assert store.retries == 1
    with pytest.raises(Taken):
        store.put_new("x", b"theirs")


def test_a_cut_download_goes_on_where_it_was_cut(s3: S3) -> None:
    store, data = s3.store(), os.urandom(3_000_000)
    store.put("big", data)
    s3.valve.cut_reads = 2
    assert b"".join(store.read_stream("big")) == data
    assert store.retries >= 1


def test_credentials_that_expire_half_way_are_a_clear_failure(s3: S3) -> None:
    def expire(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        late = environ["PATH_INFO"].endswith("000002")
        return refuse("400 Bad Request", "ExpiredToken") if late else None

    s3.valve.fault = expire
    store = s3.store()
    with pytest.raises(StoreFailed, match="credentials expired") as told:
        put_parts(store, ID, "base.tar", itertools.repeat(bytes(PART_BYTES), 9))
    assert status_of(told.value) == Exit.FAILED
    assert "renew" in told.value.hint
    assert store.retries == 0
    assert not s3.valve.puts("knockon.json")
    assert s3.valve.puts() <= 3 + CONCURRENCY  # it did not go on for long


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        ("403 Forbidden", "AccessDenied", "do not allow"),
        ("403 Forbidden", "InvalidAccessKeyId", "not accepted"),
        ("403 Forbidden", "SignatureDoesNotMatch", "not accepted"),
        ("403 Forbidden", "RequestTimeTooSkewed", "clock"),
    ],
)
def test_refusals_are_told_in_one_line_with_a_hint(
    s3: S3, status: str, code: str, says: str
) -> None:
    s3.valve.fault = lambda _: refuse(status, code)
    with pytest.raises(UserError, match=says) as told:
        s3.store().check()
    assert status_of(told.value) == Exit.USER_ERROR
    assert told.value.hint
    assert "\n" not in told.value.message


def test_a_missing_bucket_is_the_users_to_mend(s3: S3) -> None:
    store = s3.store("nobody-made-this")
    with pytest.raises(UserError, match="no such bucket"):
        store.check()
    with pytest.raises(StoreFailed, match="no such bucket"):
        store.put("x", b"1")


def test_nobody_listens() -> None:
    nobody = S3("http://127.0.0.1:9", Valve(lambda *_: []))
    with pytest.raises(StoreFailed, match="does not do what we ask") as told:
        nobody.store().check()
    assert status_of(told.value) == Exit.FAILED


@pytest.mark.parametrize(
    "url",
    ["", "/srv/backups", "ftp://x/y", "file://elsewhere/x", "file:///nowhere/at/all", "s3://"],
)
def test_wrong_places_are_the_users_to_mend(url: str) -> None:
    with pytest.raises(UserError) as told:
        Store.open(url).check()
    assert told.value.hint


def test_a_directory_is_private_and_survives_a_power_cut(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}/a/b", create=True)
    store.put("id/x", b"1")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a/b/id/x").read_bytes() == b"1"


def test_waiting_doubles_up_to_a_bound() -> None:
    patience = Patience(first_s=1.0, longest_s=5.0)
    assert [patience.wait_s(n, 1.0) for n in (1, 2, 3, 4, 99)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert patience.wait_s(3, 0.0) == 0.0


def test_a_part_that_is_not_ours_is_no_part() -> None:
    store = Store.open("memory://")
    store.put(f"{ID}/x", b"abc")
    forged = Archive("x", Role.BASE, 3, (StoredObject("x", 3, "00" * 32),), compressed=False)
    with pytest.raises(Malformed, match="checksum differs"):
        list(stored_bytes_of(store, ID, forged))
