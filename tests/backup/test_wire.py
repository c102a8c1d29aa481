"""The protocol against a server written by hand: both grammars, and every way to break."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backup.abort import Abort, by_signal
from backup.exits import Exit, Failure
from backup.postgres.conninfo import conninfo
from backup.postgres.order import MOST_KIB, BaseBackup
from backup.postgres.session import Session
from backup.postgres.wire import ArchiveBegins, Data, ManifestBegins, Wire
from tests.backup.fake_server import FakeServer, manifest_of, serving, tar_of
from tests.backup.fake_server import Wire as Server

FILES = {"PG_VERSION": b"15\n", "base/1/1259": bytes(8192)}
ORDER = BaseBackup("a label", 40e6)


@pytest.fixture
def abort() -> Iterator[Abort]:
    made = Abort()
    yield made
    made.close()


def head(server: Server) -> None:
    server.table(("0/3000028", "1"))
    server.table((None, None, "8"))


def tail(server: Server) -> None:
    server.table(("0/3000100", "1"))
    server.send(b"C", b"SELECT\0")
    server.ready()


def modern(server: Server) -> None:
    """What 15 and later send."""
    tar = tar_of(FILES)
    head(server)
    server.copy(
        b"nbase.tar\0\0",
        b"d" + tar[:700],
        b"p" + bytes(8),
        b"d" + tar[700:],
        b"m",
        b"d" + manifest_of(FILES),
    )
    tail(server)


def ancient(server: Server) -> None:
    """What 13 and 14 send."""
    head(server)
    server.copy(tar_of(FILES, ended=False))
    server.copy(manifest_of(FILES))
    tail(server)


def taken(server: FakeServer, abort: Abort) -> tuple[dict[str, bytes], bytes, str]:
    """Take a whole backup into memory."""
    session = Session.connect(server.dsn, abort)
    try:
        wire = Wire(session)
        started = wire.start_backup(ORDER)
        archives: dict[str, bytes] = {}
        manifest, name = b"", ""
        for message in wire.messages(started):
            match message:
                case ArchiveBegins(space):
                    name = space.archive
                    archives[name] = b""
                case ManifestBegins():
                    name = ""
                case Data(data) if name:
                    archives[name] += data
                case Data(data):
                    manifest += data
        return archives, manifest, wire.finish_backup().lsn
    finally:
        session.close()


@pytest.mark.parametrize(("version", "script"), [("15.4", modern), ("14.9", ancient)])
def test_both_protocols_give_the_same(
    version: str, script: Callable[[Server], None], abort: Abort
) -> None:
    with serving(FakeServer(version, {"BASE_BACKUP": script})) as server:
        archives, manifest, lsn = taken(server, abort)
    assert archives == {"base.tar": tar_of(FILES)}
    assert manifest == manifest_of(FILES)
    assert lsn == "0/3000100"
    assert server.cancels == 0, "nothing to cancel after a good end"


def test_max_rate_is_in_every_order() -> None:
    for version in (130000, 140005, 150004, 180001):
        assert f"MAX_RATE {40_000_000 // 1024}" in ORDER.command(version)
    assert f"MAX_RATE {MOST_KIB}" in BaseBackup("x", 1e12).command(150000)
    assert "MAX_RATE 32" in BaseBackup("x", 1.0).command(150000)
    assert "LABEL 'Bob''s'" in BaseBackup("Bob's", 1e6).command(150000)


def breaks_off(server: Server) -> None:
    head(server)
    server.begin_copy()
    server.send(b"d", b"nbase.tar\0\0")
    server.send(b"d", b"d" + tar_of(FILES)[:600])
    server.socket.close()


def with_error(state: str, text: str) -> Callable[[Server], None]:
    def script(server: Server) -> None:
        head(server)
        server.begin_copy()
        server.send(b"d", b"nbase.tar\0\0")
        server.error(state, text)

    return script


def strange_type(server: Server) -> None:
    head(server)
    server.copy(b"nbase.tar\0\0", b"zwhat?")


def unannounced(server: Server) -> None:
    head(server)
    server.copy(b"n../../etc/passwd.tar\0\0")


def no_copy(server: Server) -> None:
    head(server)
    server.send(b"C", b"SELECT\0")
    server.ready()


@pytest.mark.parametrize(
    ("script", "words", "status"),
    [
        (breaks_off, "the server ended the connection", Exit.FAILED),
        (
            with_error("55000", "the standby was promoted during online backup"),
            "the standby was promoted",
            Exit.FAILED,
        ),
        (
            with_error("XX001", "checksum verification failure during base backup"),
            "damaged pages",
            Exit.NOT_VERIFIED,
        ),
        (
            with_error("58P01", 'could not find WAL file "000000010000000000000003"'),
            "was recycled",
            Exit.FAILED,
        ),
        (
            with_error("57014", "canceling statement due to user request"),
            "somebody cancelled",
            Exit.FAILED,
        ),
        (with_error("XX000", "\x1b]0;pwn\x07 und bist du nicht willig"), "und bist", Exit.FAILED),
        (strange_type, "unknown type", Exit.FAILED),
        (unannounced, "not announced", Exit.FAILED),
        (no_copy, "a copy was due", Exit.FAILED),
    ],
)
def test_each_fault_is_one_line(
    script: Callable[[Server], None], words: str, status: Exit, abort: Abort
) -> None:
    with (
        serving(FakeServer(scripts={"BASE_BACKUP": script})) as server,
        pytest.raises(Failure) as raised,
    ):
        taken(server, abort)
    assert words in raised.value.message
    assert raised.value.status is status
    assert "\n" not in raised.value.message
    assert "\x1b" not in raised.value.message


def test_an_abort_wakes_the_reader_and_cancels_once(abort: Abort) -> None:
    def silent(server: Server) -> None:
        head(server)
        server.begin_copy()
        abort.ask(by_signal("SIGTERM"))

    with (
        serving(FakeServer(scripts={"BASE_BACKUP": silent})) as server,
        pytest.raises(Failure, match="SIGTERM") as raised,
    ):
        taken(server, abort)
    assert raised.value.status is Exit.ABORTED
    assert server.cancels == 1


def test_settings_are_asked_for_and_may_be_missing(abort: Abort) -> None:
    with serving(FakeServer(settings={"wal_level": "replica"})) as server:
        session = Session.connect(server.dsn, abort)
        assert session.show("wal_level") == "replica"
        assert session.show("tcp_user_timeout") is None
        assert session.identify().timeline == 1
        session.close()
    assert server.cancels == 0


def test_a_dsn_keeps_what_the_user_wrote() -> None:
    dsn = "host=db user=o\\'neil application_name=mine replication=no"
    text = conninfo(dsn, {"replication": "true"})
    assert rb"user='o\'neil'" in text
    assert b"application_name='mine'" in text
    assert b"replication='true'" in text


def test_a_password_never_shows(abort: Abort, tmp_path: Path) -> None:
    with pytest.raises(Failure) as raised:
        Session.connect(f"postgresql://u:s3cret@127.0.0.1:1/x?sslmode=bogus&k={tmp_path}", abort)
    assert "s3cret" not in f"{raised.value.message}{raised.value.hint}"
