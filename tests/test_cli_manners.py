"""The command's manners: mistakes in one line, no traceback, hang-ups, Ctrl-C, colour, alphabet."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.command import ROOT, is_one_line, killed_bundle, knockon


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return killed_bundle(tmp_path_factory.mktemp("cli") / "killed")


def test_version_and_help() -> None:
    assert knockon("--version").stdout.startswith("knockon 0.")
    helped = knockon("--help")
    assert helped.returncode == 0
    assert "why" in helped.stdout


def test_nothing_asked_shows_what_there_is() -> None:
    done = knockon()
    assert done.returncode == 2
    assert "incidents" in done.stdout


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["why"], b"", "nothing to read"),
        (["why", "--bundle", "no-such-place"], b"", "no-such-place"),
        (["why", "--log", "no-such-place"], b"", "no-such-place"),
        (["why", "--log", "."], b"", "."),
        (["why", "--log", "-"], b"", "empty"),
        (["why", "--log", "-"], b" \n\n", "empty"),
        (["why", "--log", "-"], bytes(range(256)) * 64 + b"\0" * 999, "not text"),
        (["wyh"], b"", "did you mean why?"),
        (["frobnicate"], b"", "knockon --help"),
        (["why", "--bundel", "x"], b"", "did you mean --bundle?"),
        (["why", "--log", "-", "--now", "yesterday"], b"x", "is no time"),
        (["why", "--bundle"], b"", "expected one argument"),
        (["why", "a", "b", "--log", "-"], b"x", "one pod at a time"),
        (["why", "deploy/x/y", "--log", "-"], b"x", "names no pod"),
        (["why", "--log", "-", "--rules", "no-such-place"], b"x", "no such file"),
        (["incidents", "surplus", "--log", "-"], b"x", "surplus"),
        (["rules", "--check", "no-such-place"], b"", "no such file"),
        (["why", "--bundle", "\x1b[2Jx\ny"], b"", "\\x1b[2Jx\\ny"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_two(
    words: list[str], stdin: bytes, said: str
) -> None:
    done = knockon(*words, stdin=stdin)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert is_one_line(done.stderr), done.stderr
    assert done.stdout == ""


def test_a_node_nobody_knows_is_a_mistake(killed: Path) -> None:
    done = knockon("why", "--bundle", killed, "--node", "n2")
    assert done.returncode == 2
    assert "did you mean n1?" in done.stderr
    assert knockon("why", "--bundle", killed, "--node", "n1").returncode == 0


def test_binary_junk_as_a_bundle_is_no_crash(tmp_path: Path) -> None:
    junk = tmp_path / "junk.bin"
    junk.write_bytes(bytes(range(256)) * 4096)
    done = knockon("why", "--bundle", junk)
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr


def test_torn_bundle_gives_what_can_be_read(killed: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.mkdir()
    journal = (killed / "journal.json").read_bytes()
    (torn / "journal.json").write_bytes(journal[:-100])
    (torn / "events.json").write_bytes((killed / "events.json").read_bytes()[:-40])
    done = knockon("why", "--bundle", torn)
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr
    assert "About this input" in done.stdout


def test_a_reader_that_hangs_up_is_no_error() -> None:
    for words, status in ((["rules"], 141), (["--help"], 0)):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "agent", *words],
            stdout=writing,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
        os.close(writing)
        assert done.stderr == b""
        assert done.returncode == status


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "why", "--log", fifo], stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        with fifo.open("wb"):  # opens only when the command reads
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130
        assert stderr == b""


def on_a_terminal(words: Sequence[str | Path], env: dict[str, str]) -> bytes:
    """Run the command on a pseudo terminal and give what it printed."""
    ours, theirs = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "agent", *words],
        stdout=theirs,
        cwd=ROOT,
        env={**plain, "TERM": "xterm", "PYTHONUTF8": "1", **env},
    ) as process:
        os.close(theirs)
        printed = b""
        try:
            while part := os.read(ours, 65536):
                printed += part
        except OSError:  # Linux answers EIO when the last writer has gone
            pass
        process.wait(timeout=60)
    os.close(ours)
    return printed


def test_colour_only_on_a_terminal_that_wants_it(killed: Path) -> None:
    ask: list[str | Path] = ["why", "--bundle", killed]
    assert b"\x1b[" in on_a_terminal(ask, {})
    assert b"\x1b" not in on_a_terminal([*ask, "--no-color"], {})
    assert b"\x1b" not in on_a_terminal(ask, {"NO_COLOR": "1"})
    assert b"\x1b" not in on_a_terminal(ask, {"TERM": "dumb"})


def test_ascii_terminal_gets_ascii(killed: Path) -> None:
    env = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = knockon("why", "--bundle", killed, "--explain", env=env)
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_narrow_terminal(killed: Path) -> None:
    done = knockon("why", "--bundle", killed, env={"COLUMNS": "40"})
    assert max(map(len, done.stdout.splitlines())) <= 40
