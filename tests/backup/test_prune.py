"""Pruning: what must stay stays, whatever the numbers say, and what goes goes in the safe order."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.exits import Exit
from backup.store.layout import checks_key, new_id, published_key
from backup.store.lock import acquire
from backup.store.store import Store
from backup.upkeep.catalog import Entry, read_catalog
from backup.upkeep.checks import Check, Checks, record
from backup.upkeep.prune import DAY_S, Policy, delete, plan
from tests.backup.commands import knockon_backup
from tests.backup.forged import NOW_S, forge

WELL = Checks(verify=Check(NOW_S, True, 1.0, ""))
BAD = Checks(verify=Check(NOW_S, False, 1.0, "broken"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"file://{tmp_path}/store", create=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    store = Store.open(f"file://{tmp_path_factory.mktemp('t')}")
    return Entry("", forge(store), "", Checks())


def history(template: Entry, *states: str) -> list[Entry]:
    """One backup a day, the last one now: v verified, u unverified, b bad, d damaged."""
    from dataclasses import replace

    assert template.published
    entries = []
    for number, state in enumerate(states):
        at_s = NOW_S - (len(states) - 1 - number) * DAY_S
        backup_id = new_id(at_s)
        published = replace(template.published, id=backup_id, finished_at_s=at_s)
        checks = {"v": WELL, "b": BAD}.get(state, Checks())
        entries.append(
            Entry(backup_id, None, "torn", Checks())
            if state == "d"
            else Entry(backup_id, published, "", checks)
        )
    return entries


@pytest.mark.parametrize(
    ("states", "policy", "stays"),
    [
        ("vvvvv", Policy(keep=2), "...vv"),
        ("vvvvv", Policy(keep=9), "vvvvv"),
        ("vvvvv", Policy(keep_days=2.5), "..vvv"),
        ("vvvvv", Policy(keep=1, keep_days=2.5), "..vvv"),
        ("vuuuu", Policy(keep=1), "vuuuu"),  # only the oldest was ever proved
        ("uvuuu", Policy(keep=1), ".vuuu"),
        ("uuuuu", Policy(keep=2), "...uu"),
        ("vvbbb", Policy(keep=1), ".vbbb"),  # the last good one stays, though three are newer
        ("bvbvb", Policy(keep=1), "...vb"),
        ("bbb", Policy(keep=1), "bbb"),
        ("ddd", Policy(keep_days=0.1), "ddd"),
        ("dvdv", Policy(keep=1), "...v"),
        ("v", Policy(keep_days=0.0001), "v"),
        ("vv", Policy(keep_days=0.0001), ".v"),
        ("", Policy(keep=1), ""),
    ],
)
def test_what_stays(template: Entry, states: str, policy: Policy, stays: str) -> None:
    entries = history(template, *states)
    kept = {one.entry.id for one in plan(entries, policy, NOW_S).kept}
    shown = (s if entry.id in kept else "." for s, entry in zip(states, entries, strict=True))
    assert "".join(shown) == stays


@given(
    states=st.lists(st.sampled_from("vubd"), max_size=12),
    keep=st.integers(0, 5),
    days=st.floats(0, 10),
    skew_s=st.floats(-1e9, 1e9),
)
def test_the_last_good_and_all_since_the_newest_verified_stay_whatever_is_asked(
    template: Entry, states: list[str], keep: int, days: float, skew_s: float
) -> None:
    entries = history(template, *states)
    decided = plan(entries, Policy(keep, days), NOW_S + skew_s)
    gone = {one.id for one in decided.deleted}
    good = [one for one in entries if one.good]
    verified = [one for one in good if one.verified]
    assert len(decided.kept) + len(decided.deleted) == len(entries)
    if good:
        assert good[-1].id not in gone
        assert not gone & {one.id for one in good[-keep:]} or not keep
    else:
        assert not gone
    if verified:
        assert not gone & {one.id for one in entries[entries.index(verified[-1]) :]}


def test_it_only_says_so_until_it_is_confirmed(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"file://{tmp_path}/store"
    ids = [forge(store, now_s=time.time() - days * DAY_S).id for days in (9, 5, 1)]
    assert knockon_backup("prune", "--from", url, "--keep", "1") == Exit.DONE
    assert "--confirm" in capsys.readouterr().out
    assert len(read_catalog(store).entries) == 3
    assert knockon_backup("prune", "--from", url, "--keep", "1", "--confirm") == Exit.DONE
    assert [one.id for one in read_catalog(store).entries] == [ids[2]]
    assert {one.key.partition("/")[0] for one in store.list()} == {ids[2]}
    assert knockon_backup("prune", "--from", url, "--keep", "1", "--confirm") == Exit.NOTHING_TO_DO


def test_the_manifest_goes_first_and_a_cut_deletion_is_finished_later(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = forge(store, now_s=time.time() - 9 * DAY_S)
    forge(store, now_s=time.time() - DAY_S)
    watching = Watched(f"file://{tmp_path}/store")
    delete(watching.store, old.id)
    assert watching.deleted[0] == published_key(old.id)
    # The same, cut after the first step, as by a power cut; its parts are days old.
    older = forge(store, now_s=time.time() - 12 * DAY_S)
    store.delete([published_key(older.id)])
    for one in store.list(older.id):
        path = tmp_path / "store" / one.key
        os.utime(path, (time.time() - 2 * DAY_S,) * 2)
    assert older.id in read_catalog(store).unpublished
    url = f"file://{tmp_path}/store"
    assert knockon_backup("prune", "--from", url, "--keep", "5", "--confirm") == Exit.DONE
    assert "never finished" in capsys.readouterr().out
    assert store.list(older.id) == ()


class Watched:
    """A store that remembers what was deleted, in order."""

    def __init__(self, url: str) -> None:
        self.deleted: list[str] = []
        self.store = Store.open(url)
        whole = self.store.delete

        def remember(keys: list[str]) -> None:
            self.deleted += keys
            whole(keys)

        self.store.delete = remember  # type: ignore[method-assign,assignment]


def test_a_run_under_way_is_never_a_leftover(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    young = new_id(time.time())
    store.put(f"{young}/base.tar.zst.000000", b"part")
    forge(store, now_s=time.time())
    url = f"file://{tmp_path}/store"
    assert knockon_backup("prune", "--from", url, "--keep", "1", "--confirm") == Exit.NOTHING_TO_DO
    lock = acquire(store, "a slow backup", time.time())
    assert knockon_backup("prune", "--from", url, "--keep", "1", "--confirm") == Exit.LOCKED
    assert "a slow backup" in capsys.readouterr().err
    lock.release()
    assert store.read(f"{young}/base.tar.zst.000000") == b"part"


def test_what_is_not_ours_is_never_touched(store: Store, tmp_path: Path) -> None:
    for key in ("README", "other/file", "20261123/knockon.json", "x-20261123T114416Z-0a1b2c3d/y"):
        store.put(key, b"theirs")
    forge(store, now_s=time.time() - 9 * DAY_S)
    forge(store, now_s=time.time())
    assert (
        knockon_backup("prune", "--from", f"file://{tmp_path}/store", "--keep", "1", "--confirm")
        == Exit.DONE
    )
    assert sum(store.read(one.key) == b"theirs" for one in store.list()) == 4


def test_nothing_to_keep_is_the_users_to_mend(tmp_path: Path) -> None:
    for words in ((), ("--keep", "0"), ("--keep", "-1"), ("--keep-days", "-2")):
        assert (
            knockon_backup("prune", "--from", f"file://{tmp_path}/store", *words) == Exit.USER_ERROR
        )


def test_the_list_tells_age_size_and_proof(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"file://{tmp_path}/store"
    assert knockon_backup("list", "--from", url) == Exit.NOTHING_TO_DO
    assert "no backups" in capsys.readouterr().out
    one = forge(store, now_s=time.time() - 3 * 3600)
    forge(store, now_s=time.time() + 7200, verified_in_stream=True)
    store.put(f"{new_id(0)}/base.tar.zst.000000", b"left")
    record(store, one.id, restore_test=Check(time.time(), True, 3.0, "well"))
    assert knockon_backup("list", "--from", url) == Exit.DONE
    text = capsys.readouterr().out
    assert "2 h 59 min" in text or "2 h 58 min" in text
    assert "in the stream" in text
    assert "in the future" in text
    assert "1 folder of runs that did not finish" in text
    assert knockon_backup("list", "--from", url, "--json") == Exit.DONE
    assert '"verified": true' in capsys.readouterr().out
    assert store.head(checks_key(one.id)).size_bytes
