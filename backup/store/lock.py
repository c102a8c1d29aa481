"""One run at a time in one place of a store: a lock that expires when its holder is dead.

Whether it expired is told by the store's clock alone: the time of its last renewal and the time
of now both come from there, so a wrong clock here can neither steal a lock nor keep one.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from agent.printable import safe
from agent.times import readable, span
from backup.exits import Exit, Failure
from backup.fields import Fields, Malformed
from backup.store.errors import Missing, StoreFailed, Taken
from backup.store.layout import LOCK_KEY
from backup.store.store import Store

SCHEMA = "knockon-lock/v1"
LIFE_S = 120.0
GRACE_S = 60.0
EVERY_S = LIFE_S / 4
SKEW_WORTH_A_WORD_S = 30.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock, as it stands in the store."""

    holder: str  # host, process and what it does: for a person
    token: str
    started_at_s: float
    renewed_at_s: float
    expires_at_s: float

    def as_json(self) -> bytes:
        """Write it for the store."""
        return json.dumps({"schema": SCHEMA} | asdict(self), indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> Holder:
        """Read it, or raise Malformed."""
        fields = Fields.parse(data)
        return cls(
            holder=fields.text("holder"),
            token=fields.text("token"),
            started_at_s=fields.number("started_at_s"),
            renewed_at_s=fields.number("renewed_at_s"),
            expires_at_s=fields.number("expires_at_s"),
        )


class Lock:
    """A lock that we hold: renew it now and then, release it at the end."""

    def __init__(self, store: Store, mine: Holder, version: str, warnings: tuple[str, ...]) -> None:
        self.warnings = warnings
        self._store = store
        self._mine = mine
        self._version = version

    @property
    def holder(self) -> Holder:
        """What stands in the store for us."""
        return self._mine

    def renew(self, now_s: float) -> None:
        """Prolong it, or fail because somebody else has it now."""
        mine = replace(self._mine, renewed_at_s=now_s, expires_at_s=now_s + LIFE_S)
        try:
            self._version = self._store.replace(LOCK_KEY, mine.as_json(), self._version)
        except (Taken, Missing):
            raise Failure(
                "the lock was taken from us: we were silent for too long",
                "nothing was published; was this machine suspended, or the store out of reach?",
                Exit.LOCKED,
            ) from None
        self._mine = mine

    def release(self) -> str:
        """Give it back; when the store refuses, return the sentence that says what follows."""
        try:
            self._store.remove_if(LOCK_KEY, self._version)
        except (Taken, Missing):
            return ""
        except StoreFailed as failed:
            return (
                f"the lock could not be given back ({failed.message}): for {span(LIFE_S + GRACE_S)}"
                " other runs will find it held, unless they use --lock-wait"
            )
        return ""


def acquire(store: Store, holder: str, now_s: float) -> Lock:
    """Take the lock, or fail with one line that says who has it."""
    mine = Holder(holder, secrets.token_hex(16), now_s, now_s, now_s + LIFE_S)
    try:
        version = store.put_new(LOCK_KEY, mine.as_json())
    except Taken:
        version = _take_over(store, mine, now_s)
    return Lock(store, mine, version, _warnings(store, mine, now_s))


def _take_over(store: Store, mine: Holder, now_s: float) -> str:
    """Replace a lock that nobody renews any more; two who try it at once cannot both succeed."""
    try:
        seen = store.head(LOCK_KEY)
        other = _read(store)
    except Missing:  # released between our two requests
        return _put_or_fail(store, mine)
    store_now_s = store.now_s(f"clock-{mine.token}")
    silent_s = store_now_s - seen.modified_s
    if silent_s < LIFE_S + GRACE_S:
        raise _held(other, silent_s, now_s - store_now_s)
    try:
        return store.replace(LOCK_KEY, mine.as_json(), seen.version)
    except (Taken, Missing):
        return _put_or_fail(store, mine)


def _put_or_fail(store: Store, mine: Holder) -> str:
    try:
        return store.put_new(LOCK_KEY, mine.as_json())
    except Taken:
        raise Failure(
            f"another run took the lock of {store.where} just now", "", Exit.LOCKED
        ) from None


def _read(store: Store) -> Holder | None:
    try:
        return Holder.from_json(store.read(LOCK_KEY))
    except Malformed:
        return None


def _held(other: Holder | None, silent_s: float, ahead_s: float) -> Failure:
    if other is None:
        who = "somebody who wrote no name"
    else:
        who = f"{safe(other.holder, 120)} since {readable(other.started_at_s)}"
    skew = f"; {_skew(ahead_s)}" if abs(ahead_s) > SKEW_WORTH_A_WORD_S else ""
    left_s = LIFE_S + GRACE_S - silent_s
    return Failure(
        f"another run holds the lock: {who}, renewed {span(max(silent_s, 0.0))} ago{skew}",
        f"if it is dead, the lock is free in {span(left_s)}",
        Exit.LOCKED,
    )


def _warnings(store: Store, mine: Holder, now_s: float) -> tuple[str, ...]:
    """What is not as safe here as it should be."""
    found = []
    ahead_s = now_s - store.head(LOCK_KEY).modified_s
    if abs(ahead_s) > SKEW_WORTH_A_WORD_S:
        found.append(_skew(ahead_s))
    try:
        store.put_new(LOCK_KEY, mine.as_json())
    except Taken:
        return tuple(found)
    found.append(
        f"{store.where} ignores conditional writes: two runs that start within the same second"
        " would both get the lock; let the CronJob forbid concurrency"
    )
    return tuple(found)


def _skew(ahead_s: float) -> str:
    word = "ahead of" if ahead_s > 0 else "behind"
    return f"this machine's clock is {span(abs(ahead_s))} {word} the store's"


class Renewed(Protocol):
    """What is held only for as long as it is renewed."""

    def renew(self, now_s: float) -> None:
        """Prolong it, or fail because somebody else has it now."""

    def release(self) -> str:
        """Give it back; return what has to be said of it, mostly nothing."""


class Keeper:
    """Renews a lock from a thread of its own, until it is stopped or the lock is lost."""

    def __init__(self, lock: Renewed, clock: Callable[[], float], every_s: float = EVERY_S) -> None:
        self.lost: Failure | None = None
        self._lock = lock
        self._clock = clock
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lock", daemon=True)

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> str:
        """Stop renewing and release the lock; return what has to be said of that."""
        self._stopping.set()
        self._thread.join()
        return self._lock.release() if self.lost is None else ""

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self._lock.renew(self._clock())
            except StoreFailed:
                continue  # the next try may reach the store; the lock outlives three of them
            except Failure as lost:
                self.lost = lost
                return
