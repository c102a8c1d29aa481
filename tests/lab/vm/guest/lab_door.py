"""Run what the lab asks for: a JSON line in on the machine's serial port, a JSON line out.

{"id": 1, "argv": ["docker", "ps"], "timeout_s": 60}
{"id": 1, "status": 0, "out": "...", "err": ""}
{"id": 2, "read": "/run/a-file"}                   without a process, for who asks often
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import threading
from typing import Any

NAME = "door"
PORTS = pathlib.Path("/sys/class/virtio-ports")
TIMED_OUT = -1  # no exit status of a program
_writing = threading.Lock()


def main() -> None:
    """Answer until the machine goes down; each question in a thread of its own."""
    port = os.open(f"/dev/{port_name()}", os.O_RDWR)
    say(port, {"id": 0})  # the door is open
    with os.fdopen(os.dup(port), "rb") as lines:
        for line in lines:
            threading.Thread(target=answer, args=(port, json.loads(line)), daemon=True).start()


def port_name() -> str:
    """Find our port: its number depends on which other devices there are."""
    named = (one for one in PORTS.iterdir() if (one / "name").read_text().strip() == NAME)
    return next(named).name


def answer(port: int, asked: dict[str, Any]) -> None:
    """Run one command, or read a file."""
    try:
        if "read" in asked:
            text = pathlib.Path(asked["read"]).read_text(errors="replace")
            status, out, err = 0, text.encode(), b""
        else:
            status, out, err = run(asked)
    except subprocess.TimeoutExpired as late:
        status, out, err = TIMED_OUT, late.stdout or b"", late.stderr or b""
    except OSError as error:
        status, out, err = 127, b"", str(error).encode()
    words = {"out": out.decode(errors="replace"), "err": err.decode(errors="replace")}
    say(port, {"id": asked["id"], "status": status, **words})


def run(asked: dict[str, Any]) -> tuple[int, bytes, bytes]:
    """Run a command, in a session of its own."""
    done = subprocess.run(
        asked["argv"], capture_output=True, stdin=subprocess.DEVNULL,
        timeout=asked["timeout_s"], check=False, start_new_session=True,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def say(port: int, words: dict[str, Any]) -> None:
    """Write one line whole."""
    data = memoryview(json.dumps(words).encode() + b"\n")
    with _writing:
        while data:
            data = data[os.write(port, data) :]


if __name__ == "__main__":
    main()
