"""Lets the loop go round, as often as there is something to do, until told to stop."""

from __future__ import annotations

import threading
import time

from agent.daemon.inbox import Inbox
from agent.daemon.log import Log
from agent.daemon.loop import Loop
from agent.daemon.notify import notify

WAIT_S, SLICE_S = 1.0, 0.25
REST_S = 0.1  # between two cycles: what comes in a burst is taken at once


def _wait(inbox: Inbox, stop: threading.Event) -> None:
    """Until there is something to do, in slices: a signal does not end a wait (PEP 475)."""
    for _ in range(round(WAIT_S / SLICE_S)):
        if stop.is_set() or inbox.wait(SLICE_S):
            return


def run(loop: Loop, stop: threading.Event, log: Log) -> None:
    """Go round until told to stop, and say what each cycle has to say."""
    notify("READY=1")
    while not stop.is_set():
        _wait(loop.parts.inbox, stop)
        sentence = loop.cycle(time.time())  # noqa: TID251 - the only clock
        if sentence:
            log.say(sentence)
        notify("WATCHDOG=1")
        stop.wait(REST_S)
    loop.drain(time.time())  # noqa: TID251 - the edge
