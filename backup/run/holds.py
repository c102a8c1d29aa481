"""What a run holds while it works: the store's lock, and a Lease where one was asked for."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from agent.kube.access import Access
from backup.exits import Exit, Failure
from backup.run.lease import EVERY_S, lease_of
from backup.run.lease import Held as HeldLease
from backup.store.lock import Keeper, acquire
from backup.store.store import Store

_LOOK_S = 5.0

Taken = TypeVar("Taken")


@dataclass(frozen=True, slots=True)
class Holds:
    """What to hold, and with whose help."""

    store: Store
    lease: str
    wait_s: float
    access: Callable[[], Access]
    clock_s: Callable[[], float]
    sleep: Callable[[float], None]
    say: Callable[[str], None]

    def waited_for(self, take: Callable[[], Taken]) -> Taken:
        """Take it; another who has it is waited for as long as was asked, since it may be dead."""
        until_s = time.monotonic() + self.wait_s
        told = False
        while True:
            try:
                return take()
            except Failure as failure:
                left_s = until_s - time.monotonic()
                if failure.status is not Exit.LOCKED or left_s <= 0:
                    raise
                if not told:
                    self.say(f"{failure.message}; waiting for it")
                told = True
                self.sleep(min(_LOOK_S, left_s))


@contextlib.contextmanager
def held(holds: Holds) -> Iterator[list[Keeper]]:
    """Hold it all while in this block; what could not be given back is said."""
    with contextlib.ExitStack() as scope:
        keepers = [scope.enter_context(_leased(holds))] if holds.lease else []
        yield [*keepers, scope.enter_context(_locked(holds))]


@contextlib.contextmanager
def _locked(holds: Holds) -> Iterator[Keeper]:
    lock = holds.waited_for(lambda: acquire(holds.store, f"{_us()}, backup run", holds.clock_s()))
    for warning in lock.warnings:
        holds.say(warning)
    with _kept(Keeper(lock, holds.clock_s), holds.say) as keeper:
        yield keeper


@contextlib.contextmanager
def _leased(holds: Holds) -> Iterator[Keeper]:
    def take() -> HeldLease:
        lease = lease_of(holds.access(), holds.lease, _us(), holds.clock_s)
        lease.acquire(holds.sleep)
        return lease

    lease = holds.waited_for(take)
    with _kept(Keeper(lease, holds.clock_s, EVERY_S), holds.say) as keeper:
        yield keeper


@contextlib.contextmanager
def _kept(keeper: Keeper, say: Callable[[str], None]) -> Iterator[Keeper]:
    keeper.start()
    try:
        yield keeper
    finally:
        if left := keeper.stop():
            say(left)


def _us() -> str:
    return f"{socket.gethostname()} pid {os.getpid()}"
