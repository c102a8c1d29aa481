"""The brake of this node: what the server says about itself bounds the law."""

from __future__ import annotations

import math

import pytest

from backup.postgres.session import System
from backup.run.governed import _law
from backup.run.preflight import Found, _same_node, _wal_room_bytes
from backup.run.settings import Settings
from backup.store.layout import WalMode

SETTINGS = Settings("host=db", "memory://", WalMode.STREAM, ceiling_bytes_per_s=50e6)


def found(pause_limit_s: float | None, *, same_node: bool = True) -> Found:
    system = System("7", 1, "0/1")
    return Found(system, 150000, "/data", 16 << 20, pause_limit_s, False, (), same_node)


def test_a_pause_is_half_of_what_the_server_s_timeout_allows() -> None:
    assert _law(SETTINGS, found(30.0)).longest_pause_s == 15.0
    assert _law(SETTINGS, found(None)).longest_pause_s == math.inf
    assert _law(SETTINGS, found(None)).ceiling_bytes_per_s == 50e6


def test_a_server_elsewhere_is_judged_by_our_progress_alone() -> None:
    assert _law(SETTINGS, found(None, same_node=False)).elsewhere
    assert not _law(SETTINGS, found(None)).elsewhere


@pytest.mark.parametrize(
    ("host", "near"),
    [("/var/run/postgresql", True), ("127.0.0.1", True), ("localhost", True), ("db.ns", False)],
)
def test_which_server_is_near(host: str, near: bool) -> None:
    assert _same_node(host, "/no/such/data") is near


def test_the_room_for_wal_is_the_slot_s_limit_or_the_volume_or_unknown() -> None:
    said = {"max_slot_wal_keep_size": "10GB"}
    assert _wal_room_bytes(said.get) == 10 << 30
    assert _wal_room_bytes({"max_slot_wal_keep_size": "-1"}.get) is None
    assert _wal_room_bytes({"data_directory": "/no/such/data"}.get) is None
