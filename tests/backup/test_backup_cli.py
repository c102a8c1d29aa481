"""The command line: what is wrong is one line with a hint, and its status is the documented one."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import UserError
from backup import commands
from backup.abort import Abort, by_signal
from backup.exits import MEANING, Exit, Failure, as_help, status_of
from backup.postgres import refusals
from backup.postgres.session import Session
from backup.run import preflight, settings
from backup.store.layout import WalMode
from tests.backup.fake_server import FakeServer, serving


def test_the_help_lists_every_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert as_help() in said
    assert set(MEANING) == set(Exit)
    assert all(f"  {status.value}  " in said for status in Exit)


def test_every_command_is_listed_and_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main([]) == Exit.USER_ERROR
    said = capsys.readouterr().out
    assert [name for name, _, _ in commands.COMMANDS if name not in said] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], "unknown command backup rum"),
        (["run"], "where to?"),
        (["run", "--to", "ftp://x"], "is no place for a backup"),
        (["run", "--to", "file:///tmp/x", "--deadline", "soon"], "is no duration"),
        (["run", "--to", "file:///tmp/x", "--ceiling", "fast"], "is no rate"),
        (["run", "--to", "file:///tmp/x", "--ceiling", "1kB/s"], "too slow"),
        (["run", "--to", "file:///tmp/x", "--wal", "maybe"], "invalid choice"),
        (["run", "--frobnicate"], "unrecognized"),
        (["run", "--to", "file:///tmp/x", "--config", "/no/such.toml"], "No such file"),
        (["run", "--to", "file:///tmp/x", "--encrypt-key-file", "/no/key"], "key"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(arguments) == Exit.USER_ERROR
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith("knockon: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "bytes_per_s"),
    [("200MB/s", 200e6), ("64MiB", 64 * 2**20), ("1.5g", 1.5e9), ("40000000", 40e6)],
)
def test_rates(text: str, bytes_per_s: float) -> None:
    assert settings.rate(text) == bytes_per_s


def options(tmp_path: Path, config: str, *arguments: str) -> settings.Settings:
    import argparse

    file = tmp_path / "backup.toml"
    file.write_text(config)
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser)
    return settings.from_options(parser.parse_args(["--config", str(file), *arguments]))


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    config = '[backup]\nto = "s3://b/p"\nceiling = "50MB/s"\nwal = "fetch"\nmetrics-port = 9187\n'
    found = options(tmp_path, config, "--ceiling", "60MB/s")
    assert (found.to, found.ceiling_bytes_per_s, found.wal) == ("s3://b/p", 60e6, WalMode.FETCH)
    assert found.metrics_port == 9187


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("to = ", "Invalid value"),
        ("tu = 's3://x'", "unknown setting tu"),
        ("to = 3", "to is no text"),
        ("to = 's3://x'\nwal = 'x'", "wal = x"),
        ("to = 's3://x'\nfast-checkpoint = 'yes'", "neither true nor false"),
        ("to = 's3://x'\nmetrics_port = 99999", "is no port"),
        ("backup = 3", "no table"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, config: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        options(tmp_path, config)


def test_a_failure_carries_its_status() -> None:
    assert status_of(UserError("x")) is Exit.USER_ERROR
    assert status_of(Failure("x")) is Exit.FAILED
    assert status_of(by_signal("SIGTERM")) is Exit.ABORTED


@pytest.mark.parametrize(
    ("text", "words", "hint", "status"),
    [
        (
            'no pg_hba.conf entry for replication connection from host "10.0.0.9", user "backup"',
            "lets nobody replicate from here as backup",
            "host replication backup",
            2,
        ),
        ("FATAL:  must be superuser or replication role to start walsender", "may not", "ALTER", 2),
        ('FATAL:  password authentication failed for user "b"', "password of b", "VALID UNTIL", 2),
        ("fe_sendauth: no password supplied", "wants a password", "PGPASSWORD", 2),
        ("FATAL:  the database system is starting up", "is starting up", "run again", 1),
        ("number of requested standby connections exceeds max_wal_senders", "no free", "raise", 2),
        ("FATAL:  Passwort-Authentifizierung fehlgeschlagen", "Passwort-Auth", "psql", 2),
    ],
)
def test_refusals(text: str, words: str, hint: str, status: int) -> None:
    failure = refusals.connecting(text)
    assert words in failure.message
    assert hint in failure.hint
    assert failure.status == status


@pytest.mark.parametrize(
    ("version", "server_settings", "wal", "words"),
    [
        ("12.17", {}, WalMode.FETCH, "13 is the oldest"),
        ("15.4", {"wal_level": "minimal"}, WalMode.FETCH, "wal_level"),
        ("15.4", {"max_replication_slots": "0"}, WalMode.STREAM, "--wal fetch"),
        ("15.4", {"archive_mode": "off"}, WalMode.ARCHIVED, "takes the WAL along"),
    ],
)
def test_what_makes_a_backup_impossible_is_said_first(
    version: str, server_settings: dict[str, str], wal: WalMode, words: str
) -> None:
    abort = Abort()
    with serving(FakeServer(version, settings=server_settings)) as server:
        session = Session.connect(server.dsn, abort)
        with pytest.raises(Failure) as raised:
            preflight.inspect(session, wal)
        session.close()
    abort.close()
    assert words in f"{raised.value.message} {raised.value.hint}"
    assert raised.value.status is Exit.USER_ERROR


def test_a_killing_timeout_is_noticed_over_tcp() -> None:
    abort = Abort()
    with serving(FakeServer(settings={"tcp_user_timeout": "5s"})) as server:
        session = Session.connect(server.dsn, abort)
        found = preflight.inspect(session, WalMode.STREAM)
        session.close()
    abort.close()
    assert found.pause_limit_s == 5.0
    assert any("tcp_user_timeout" in note for note in found.notes)


def test_room_at_the_target() -> None:
    assert preflight.room(100, None) == ""
    assert preflight.room(100, 101) == ""
    assert "compresses well" in preflight.room(100, 50)
    with pytest.raises(Failure, match="free"):
        preflight.room(1000, 50)
