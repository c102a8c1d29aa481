"""Run what the lab asks for: a JSON line in on the machine's serial port, a JSON line out.

    {"id": 1, "argv": ["docker", "ps"], "timeout_s": 60}
    {"id": 1, "status": 0, "out": "...", "err": ""}
"""

from __future__ import annotations

import json
import os
import subprocess
import threading

PORT = "/dev/vport0p1"
TIMED_OUT = 124
_writing = threading.Lock()


def main():
    """Answer until the machine goes down; each question in a thread of its own."""
    port = os.open(PORT, os.O_RDWR)
    say(port, {"id": 0})  # the door is open
    with os.fdopen(os.dup(port), "rb") as lines:
        for line in lines:
            threading.Thread(target=answer, args=(port, json.loads(line)), daemon=True).start()


def answer(port, asked):
    """Run one command, in a session of its own."""
    try:
        done = subprocess.run(
            asked["argv"], capture_output=True, stdin=subprocess.DEVNULL,
            timeout=asked["timeout_s"], check=False, start_new_session=True,
        )  # fmt: skip
        status, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as late:
        status, out, err = TIMED_OUT, late.stdout or b"", late.stderr or b""
    except OSError as error:
        status, out, err = 127, b"", str(error).encode()
    words = {"out": out.decode(errors="replace"), "err": err.decode(errors="replace")}
    say(port, {"id": asked["id"], "status": status, **words})


def say(port, words):
    """Write one line whole."""
    data = memoryview(json.dumps(words).encode() + b"\n")
    with _writing:
        while data:
            data = data[os.write(port, data) :]


if __name__ == "__main__":
    main()
