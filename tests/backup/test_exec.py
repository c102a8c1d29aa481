"""`knockon backup exec`: what a program, its caller and its terminal see of it. Real processes."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backup.foreign.exec import MOST_LINES
from backup.levers.readers import Reader, reader_of
from tests.backup.governed import (
    PATIENCE_S,
    ROOT,
    alive,
    command,
    gone,
    keeper_of,
    kill,
    pids_in,
    run,
    started,
)

NOTING = "import signal,os,sys,time; open(sys.argv[1],'a').write(f'{os.getpid()}\\n');"


def test_the_exit_status_passes_through() -> None:
    assert [run(command("sh", "-c", f"exit {status}")).returncode for status in (0, 1, 7)] == [
        0,
        1,
        7,
    ]


def test_a_program_that_dies_of_a_signal_gives_what_a_shell_gives() -> None:
    assert run(command("sh", "-c", "kill -9 $$")).returncode == 128 + signal.SIGKILL
    assert run(command("sh", "-c", "kill -TERM $$")).returncode == 128 + signal.SIGTERM


def test_a_missing_program_gives_one_line_and_127() -> None:
    done = run(command("no-such-program"))
    assert done.returncode == 127
    assert done.stderr == (
        b"knockon: no-such-program: command not found (is it installed here, and in PATH?)\n"
    )


def test_a_file_that_is_no_program_gives_126(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("not a program")
    assert run(command(str(file))).returncode == 126
    file.chmod(0o755)
    file.write_bytes(b"\x7fELF but not really")
    done = run(command(str(file)))
    assert done.returncode == 126
    assert b"Exec format error" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--freeze-slice", "90"), b"wal_sender_timeout"),
        (("--ceiling", "fast"), b"no rate"),
        (("--ceiling", "1kB/s"), b"too slow"),
        (("--deadline", "soon"), b"no duration"),
        (("--data", "/no/such/folder"), b"no such folder"),
        (("--probe", "what"), b"is no probe"),
        (("--probe", "file:/no/such/file"), b"no such file"),
    ],
)
def test_wrong_options_are_one_line_and_2(options: tuple[str, ...], said: bytes) -> None:
    done = run(command("true", options=("--quiet", *options)))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_nothing_to_run_is_a_usage_error() -> None:
    assert run(command()).returncode == 2


def test_the_streams_are_the_programs_own() -> None:
    data = bytes(range(256)) * 4096
    done = run(command("cat"), data)
    assert (done.stdout, done.stderr, done.returncode) == (data, b"", 0)
    done = run(command("sh", "-c", "echo said >&2"))
    assert (done.stdout, done.stderr) == (b"", b"said\n")


def test_it_says_in_a_dozen_lines_what_bites(tmp_path: Path) -> None:
    done = run(command("sh", "-c", "echo ==== >&2", options=("--data", str(tmp_path))))
    before, _, after = done.stderr.partition(b"====\n")
    assert 5 < before.count(b"\n") <= MOST_LINES
    assert all(line.startswith(b"knockon: ") for line in before.splitlines())
    assert b"ended with 0" in after


def test_of_a_streaming_client_it_says_that_limits_do_not_bite(tmp_path: Path) -> None:
    fake = tmp_path / "pg_basebackup"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    said = run(command(str(fake), options=("--freeze",))).stderr.decode()
    assert "does not bite: who reads the disk: the server's walsender" in said
    assert "\nknockon: bites: cgroup I/O limit" not in said
    assert "knockon: bites: freeze" in said


def test_the_reader_of_a_program_sees_when_it_closes_its_output() -> None:
    with started(command("sh", "-c", "echo one; exec >&-; sleep 60")) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"one\n"  # to the end of file, while the program runs
        assert process.poll() is None


def test_a_program_whose_reader_has_gone_dies_of_sigpipe() -> None:
    with started(command("sh", "-c", "yes; kill -PIPE $$")) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        process.stdout = None
        assert process.wait(PATIENCE_S) == 128 + signal.SIGPIPE


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_ending_signals_reach_the_whole_group(name: str, tmp_path: Path) -> None:
    number = signal.Signals[f"SIG{name}"]
    code = (
        f"{NOTING} signal.signal({int(number)}, lambda *_: sys.exit(40));"
        "__import__('os').write(1, b'up\\n');"  # one write: two lines cannot run together
        "time.sleep(60)"
    )
    file = tmp_path / "pids"
    shell = f'"{sys.executable}" -c "$0" "$1" & "{sys.executable}" -c "$0" "$1" & wait; wait'
    with started(command("bash", "-c", f"trap : {name}; {shell}", code, str(file))) as process:
        pids = pids_in(file, 2)
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in pids] == [b"up\n"] * 2
        process.send_signal(number)
        assert gone(pids)
        process.wait(PATIENCE_S)


@pytest.mark.parametrize("name", ["USR1", "USR2"])
def test_user_signals_reach_the_program_alone(name: str, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    code = (
        "import signal,subprocess,sys\n"
        f"signal.signal(signal.SIG{name}, lambda *_: print('heard', flush=True))\n"
        "child = subprocess.Popen(['sleep', '61'])\n"
        "open(sys.argv[1], 'w').write(str(child.pid))\n"
        "print('up', flush=True)\nprint('child', child.wait(), flush=True)"
    )
    with started(command(sys.executable, "-c", code, str(file))) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.Signals[f"SIG{name}"])
        assert process.stdout.readline() == b"heard\n"
        (child,) = pids_in(file, 1)
        os.kill(child, signal.SIGTERM)
        assert process.stdout.readline() == b"child -15\n"  # ours, not the user's signal
        assert process.wait(PATIENCE_S) == 0


def test_window_changes_are_passed_on() -> None:
    code = (
        "import signal,time\n"
        "signal.signal(signal.SIGWINCH, lambda *_: print('wider', flush=True))\n"
        "print('up', flush=True)\ntime.sleep(60)"
    )
    with started(command(sys.executable, "-c", code)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGWINCH)
        assert process.stdout.readline() == b"wider\n"


def test_what_nohup_ignores_stays_ignored() -> None:
    script = "kill -HUP $$; kill -HUP $PPID; sleep 0.2; echo alive"
    done = run(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command("sh", "-c", script)])
    assert (done.returncode, done.stdout) == (0, b"alive\n")


def test_a_signal_right_after_the_start_is_not_lost() -> None:
    for delay_s in (0.1, 0.15, 0.2, 0.3):
        with started(command("sleep", "61")) as process:
            keeper_of(process.pid)
            time.sleep(delay_s - 0.1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM


def test_what_the_program_leaves_behind_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    left = f"sleep 61 & echo $! >> {file}; setsid sh -c 'echo $$ >> {file}; sleep 61' & sleep 0.3"
    done = run(command("sh", "-c", left, options=()))
    assert done.returncode == 0
    assert gone(pids_in(file, 2))
    assert b"ended as well" in done.stderr


def test_what_ignores_sigterm_is_killed_in_the_end(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    stubborn = f"trap '' TERM; echo $$ >> {file}; while :; do sleep 1; done"
    done = run(command("sh", "-c", f'sh -c "$0" & while ! test -s {file}; do :; done', stubborn))
    assert done.returncode == 0
    assert gone(pids_in(file, 1))


def test_the_program_has_the_lowest_priority() -> None:
    code = "import os; print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.nice(0))"
    assert run(command(sys.executable, "-c", code)).stdout == b"True 19\n"


def test_on_a_terminal_the_program_is_in_the_foreground_and_ctrl_c_ends_it() -> None:
    line = command("sh", "-c", "read line < /dev/tty; echo got $line; exec sleep 61")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(line[0], line)
    os.write(terminal, b"typed\n")
    assert _says(terminal, b"got typed")
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGINT


def test_on_a_terminal_ctrl_z_stops_both_and_fg_continues() -> None:
    line = command("sh", "-c", "echo up; read line < /dev/tty; echo got $line")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(line[0], line)
    assert _says(terminal, b"up")
    os.write(terminal, b"\x1a")
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.kill(pid, signal.SIGCONT)
    os.write(terminal, b"again\n")
    assert _says(terminal, b"got again")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0


def _says(terminal: int, wanted: bytes) -> bool:
    heard = b""
    end_s = time.monotonic() + PATIENCE_S
    while wanted not in heard and time.monotonic() < end_s:
        if select.select([terminal], [], [], 0.1)[0]:
            heard += os.read(terminal, 4096)
    return wanted in heard


def test_as_the_first_process_of_a_container_it_reaps_strangers() -> None:
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made here")
    script = (
        "nsenter --pid=/proc/1/ns/pid true; setsid sh -c 'sleep 0.1 & exit' & sleep 0.5;"
        "ps -e -o stat= | grep -c Z"
    )
    done = run([*inside, *command("sh", "-c", script)])
    assert done.stdout.strip() == b"0", done


def test_in_a_pid_namespace_of_its_own_it_leaves_others_alone(tmp_path: Path) -> None:
    """A container that sees the node's control groups sees those of other runs as well."""
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no pid namespace can be made here")
    file = tmp_path / "pids"
    with started(command("sh", "-c", f"echo $$ > {file}; sleep 61")) as process:
        (pid,) = pids_in(file, 1)
        assert run([*inside, *command("true")]).returncode == 0
        assert alive(pid)
        assert process.poll() is None
    with started([*inside, *command("sh", "-c", "echo up; sleep 61")]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert run(command("true")).returncode == 0
        assert process.poll() is None
        kill(keeper_of(process.pid), signal.SIGTERM)  # the first process of the namespace
        assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM


def test_the_reader_is_guessed_from_what_is_run() -> None:
    assert reader_of(["/usr/lib/postgresql/15/bin/pg_dump", "-Fc"]) is Reader.SERVER
    assert reader_of(["nice", "pg_basebackup", "-D", "-"]) is Reader.SERVER
    assert reader_of(["bash", "-c", "set -e; wal-g backup-push $PGDATA"]) is Reader.PROGRAM
    assert reader_of(["rsync", "-a", "/srv/barman", "there:"]) is Reader.PROGRAM
    assert reader_of(["./mine.sh"]) is Reader.UNKNOWN
