"""`knockon backup run`: lock, brake, progress and metrics around one backup.

The backup runs on a worker; this thread waits for signals, so that a brake is pulled at once even
while the worker sits in an upload, and ticks what people and Prometheus look at.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType

from agent.errors import UserError
from agent.kube.access import Access, in_cluster
from backup import metrics
from backup.abort import Abort, by_signal
from backup.exits import Exit, Failure, status_of
from backup.run.governed import Governed, View, govern
from backup.run.holds import Holds, held
from backup.run.ledger import Ledger, Phase
from backup.run.progress import Progress, Sight, duration, size
from backup.run.settings import Miss, Settings
from backup.run.taking import Run, take
from backup.store.layout import Published, is_id, new_id
from backup.store.lock import Keeper
from backup.store.seal import load_key
from backup.store.store import Store
from backup.store.upload import Place

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TICK_S = 0.5
# Below the 30 s after which Kubernetes kills; the server was told to stop when the signal came.
_LEAVE_AFTER_S = 20.0


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a run gets its time and its brake from, and where it speaks."""

    progress: Progress
    clock_s: Callable[[], float] = time.time  # noqa: TID251 - the edge
    govern: Callable[[Settings, Abort], Governed] = govern
    access: Callable[[], Access] = lambda: in_cluster(os.environ)


def run(settings: Settings, desk: Desk) -> int:
    """Make one backup; the exit status says how it went, metrics are kept either way."""
    ledger = Ledger(started_at_s=desk.clock_s())
    if settings.deadline_s is not None:
        ledger.deadline_at_s = ledger.started_at_s + settings.deadline_s
    shift = _Shift(settings, desk, ledger)
    status = Exit.FAILED
    try:
        status = shift.work()
    except UserError as error:
        status = status_of(error)
        raise
    finally:
        desk.progress.clear()
        for complaint in settings.outlet.keep(shift.values(status)):
            desk.progress.say(complaint, desk.clock_s())
    return status


class _Shift:
    """One run from lock to exit."""

    def __init__(self, settings: Settings, desk: Desk, ledger: Ledger) -> None:
        self._settings = settings
        self._desk = desk
        self._ledger = ledger
        self._abort = Abort()
        self._store: Store | None = None
        self._view = View()

    def work(self) -> Exit:
        settings, now_s = self._settings, self._desk.clock_s()
        key = load_key(settings.key_file)
        store = self._store = Store.open(settings.to, create=True)
        store.check()
        refuse_strangers(store)
        self._ledger.backup_id = new_id(now_s)
        place = Place(store, self._ledger.backup_id, key)
        with contextlib.ExitStack() as scope:
            scope.callback(self._abort.close)
            scope.enter_context(_caught(self._abort))
            keepers = scope.enter_context(held(self._holds(store)))
            scope.enter_context(
                metrics.served(self.values, settings.metrics_port, settings.outlet.database)
            )
            governed = scope.enter_context(self._governed())
            job = Run(
                settings, place, self._abort, self._ledger, governed, self._desk.clock_s, self._say
            )
            try:
                published = self._watch(job, governed, keepers)
            except UserError:
                self._sweep(store)
                raise
        self._say(_summary(published, self._ledger))
        return Exit.DONE

    def values(self, status: Exit | None = None) -> dict[metrics.Key, float]:
        """Return every metric as it is now; with a status, as it is at the end."""
        ledger, view, now_s = self._ledger, self._view, self._desk.clock_s()
        found: dict[metrics.Key, float] = {
            ("running", ""): float(status is None),
            ("duration_seconds", ""): now_s - ledger.started_at_s,
            ("expected_bytes", ""): ledger.expected_bytes,
            ("read_bytes", ""): ledger.read_bytes,
            ("wal_bytes", ""): ledger.wal_bytes,
            ("stored_bytes", ""): ledger.stored_bytes,
            ("store_retries", ""): self._store.retries if self._store else 0,
            ("achieved_bytes_per_second", ""): view.achieved_bytes_per_s,
            ("allowed_bytes_per_second", ""): view.allowed_bytes_per_s,
            ("max_rate_bytes_per_second", ""): self._settings.max_rate_bytes_per_s,
            ("harm_seconds", ""): view.harm_s,
        }
        found |= {("throttled_seconds", why): spent for why, spent in view.throttled_s.items()}
        if ledger.deadline_at_s is not None:
            found[("deadline_timestamp_seconds", "")] = ledger.deadline_at_s
        if status is not None:
            found |= metrics.ended(status) | {("last_run_timestamp_seconds", ""): now_s}
            if status is Exit.DONE:
                elapsed_s = max(now_s - ledger.started_at_s, 1e-3)
                found[("last_success_timestamp_seconds", "")] = now_s
                found[("achieved_bytes_per_second", "")] = ledger.read_bytes / elapsed_s
        return found

    def _holds(self, store: Store) -> Holds:
        desk, settings = self._desk, self._settings
        return Holds(
            store,
            settings.lease,
            settings.lock_wait_s,
            desk.access,
            desk.clock_s,
            self._abort.sleep,
            self._say,
        )

    @contextlib.contextmanager
    def _governed(self) -> Iterator[Governed]:
        made = self._desk.govern(self._settings, self._abort)
        try:
            with self._abort.brake(made.release):
                yield made
        finally:
            self._view = made.view()
            made.stop()

    def _watch(self, job: Run, governed: Governed, keepers: Sequence[Keeper]) -> Published:
        with ThreadPoolExecutor(1, "backup") as pool:
            future = pool.submit(take, job)
            asked_s: float | None = None
            while not _done_within(future, _TICK_S):
                self._view = governed.view()
                self._desk.progress.tick(self._sight())
                for lost in filter(None, (keeper.lost for keeper in keepers)):
                    self._abort.ask(lost)
                self._mind_the_deadline()
                for warning in governed.warnings():
                    self._say(warning)
                if self._abort.asked is not None:
                    asked_s = asked_s or time.monotonic()
                    if time.monotonic() - asked_s > _LEAVE_AFTER_S:
                        _leave(self._abort.asked, self._say)
            return future.result()

    def _mind_the_deadline(self) -> None:
        """Stop at the deadline where that is what was asked for; else the guards have said it."""
        at_s = self._ledger.deadline_at_s
        late = at_s is not None and self._desk.clock_s() > at_s
        if late and self._settings.on_miss is Miss.STOP and self._ledger.phase is not Phase.DONE:
            self._abort.ask(
                Failure(
                    "the deadline has passed; stopped, as --on-miss stop asks",
                    "nothing was published; --on-miss late or harm finishes it",
                    Exit.TOO_LATE,
                )
            )

    def _sweep(self, store: Store) -> None:
        """Free a local disk at once of what was not published; elsewhere prune does it, later."""
        if self._settings.to.startswith("file:"):
            with contextlib.suppress(UserError):
                store.delete([one.key for one in store.list(self._ledger.backup_id)])

    def _sight(self) -> Sight:
        view, ledger = self._view, self._ledger
        return Sight(
            now_s=self._desk.clock_s(),
            phase=ledger.phase,
            read_bytes=ledger.read_bytes,
            expected_bytes=ledger.expected_bytes,
            achieved_bytes_per_s=view.achieved_bytes_per_s,
            allowed_bytes_per_s=view.allowed_bytes_per_s,
            reason=view.reason if ledger.phase is Phase.READING else "",
            paused=view.paused and ledger.phase is Phase.READING,
            pressure=view.pressure,
            deadline_at_s=ledger.deadline_at_s,
        )

    def _say(self, message: str) -> None:
        self._desk.progress.say(message, self._desk.clock_s())


def refuse_strangers(store: Store) -> None:
    """Refuse a prefix in which somebody else keeps things: prune must never meet them."""
    foreign = [name for name in store.folders() if not is_id(name)]
    if foreign:
        raise Failure(
            f"{store.where} holds something that is not ours: {foreign[0]}",
            "give the backups a folder or prefix of their own",
            Exit.USER_ERROR,
        )


def _done_within(future: Future[Published], patience_s: float) -> bool:
    try:
        future.exception(patience_s)
    except TimeoutError:
        return future.done()
    return True


@contextlib.contextmanager
def _caught(abort: Abort) -> Iterator[None]:
    """While in this block, a signal stops the run instead of the process."""

    def stop(number: int, _frame: FrameType | None) -> None:
        abort.ask(by_signal(signal.Signals(number).name))

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(failure: Failure, say: Callable[[str], None]) -> None:
    """The store does not answer and we must go; the lock expires, nothing was published."""
    say(f"{failure.message}; the store did not answer for {_LEAVE_AFTER_S:.0f} s, leaving")
    os._exit(failure.status)


def _summary(published: Published, ledger: Ledger) -> str:
    took_s = published.finished_at_s - published.started_at_s
    return (
        f"backup {published.id} published: {ledger.files} files, {size(ledger.read_bytes)} read, "
        f"{size(published.stored_bytes)} stored, every checksum compared, {duration(took_s)}"
    )
