"""One base backup from the first question to the published manifest; runs on a worker thread."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from agent import __version__
from backup.abort import Abort
from backup.exits import Failure
from backup.postgres.order import BaseBackup
from backup.postgres.session import Session
from backup.postgres.wal import WalStream, lsn_number
from backup.postgres.wire import Ended, Started, Wire
from backup.run import preflight
from backup.run.ledger import Ledger, Phase
from backup.run.preflight import Found
from backup.run.pump import Pump
from backup.run.settings import Settings
from backup.run.wal_watch import Runway, WalWatch
from backup.store.errors import Taken
from backup.store.layout import (
    Archive,
    Published,
    Role,
    Tablespace,
    WalMode,
    published_key,
    to_json,
)
from backup.store.upload import Place, upload


class Pacing(Protocol):
    """What the governor offers to whoever reads the socket."""

    def ready(self, found: Found) -> None:
        """Look at the node before the backup changes anything there."""

    def begin(self, expected_bytes: int, waited_s: Callable[[], float]) -> None:
        """Reading begins now; so much is to come, and so long the server has let us wait."""

    def wal(self, kept_bytes: int, room_bytes: int | None) -> None:
        """So much WAL the server keeps back for us, of so much that it may."""

    def pace(self, n_bytes: int) -> None:
        """Account for bytes just read, and block until the next may be read."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run works with."""

    settings: Settings
    place: Place
    abort: Abort
    ledger: Ledger
    pacing: Pacing
    clock_s: Callable[[], float]
    say: Callable[[str], None]


def take(run: Run) -> Published:
    """Make the backup and publish it, or raise and leave nothing running on the server."""
    with contextlib.ExitStack() as scope:
        session = _connect(run, scope)
        found = preflight.inspect(session, run.settings.wal)
        for note in found.notes:
            run.say(note)
        run.pacing.ready(found)
        wal = _wal_stream(run, scope, found)
        run.ledger.phase = Phase.CHECKPOINT
        wire = Wire(session)
        started = wire.start_backup(_order(run.settings))
        _expect(run, started, session)
        if wal is not None:
            wal.start(started.lsn, started.timeline)
        _watch_wal(run, scope, found, started)
        pump = Pump(run.place, run.ledger, run.pacing.pace)
        archives = pump.run(wire.messages(started))
        ended = wire.finish_backup()
        archives += (pump.prove(),)
        if wal is not None:
            run.ledger.phase = Phase.WAL
            wal.finish(ended.lsn)
            archives += wal.kept
        run.abort.check()
        run.ledger.phase = Phase.PUBLISHING
        return _publish(run, _describe(run, found, (started, ended), archives))


def _connect(run: Run, scope: contextlib.ExitStack) -> Session:
    session = Session.connect(run.settings.dsn, run.abort)
    scope.callback(session.close)
    scope.enter_context(run.abort.brake(session.cancel))
    return session


def _order(settings: Settings) -> BaseBackup:
    return BaseBackup(
        label=settings.label,
        max_rate_bytes_per_s=settings.max_rate_bytes_per_s,
        include_wal=settings.wal is WalMode.FETCH,
        wait_for_archive=settings.wal is WalMode.ARCHIVED,
        fast_checkpoint=settings.fast_checkpoint,
    )


def _wal_stream(run: Run, scope: contextlib.ExitStack, found: Found) -> WalStream | None:
    """Hold back WAL before the backup is ordered, where it is to be streamed."""
    if run.settings.wal is not WalMode.STREAM:
        return None
    session = Session.connect(run.settings.dsn, run.abort)
    kept_lock = threading.Lock()

    def keep(name: str, data: bytes) -> Archive:
        archive = upload(run.place, f"wal/{name}", Role.WAL, data)
        with kept_lock:
            run.ledger.wal_bytes += len(data)
            run.ledger.stored_bytes += archive.stored_bytes
        return archive

    def behind(kept_bytes: int) -> None:
        run.pacing.wal(kept_bytes, found.wal_room_bytes)

    stream = WalStream(session, run.abort, keep, found.segment_bytes)
    stream.behind = behind
    scope.callback(stream.close)
    stream.reserve()
    return stream


def _watch_wal(run: Run, scope: contextlib.ExitStack, found: Found, started: Started) -> None:
    """Foresee that the server recycles WAL which --wal fetch needs; blind, the backup goes on."""
    if run.settings.wal is not WalMode.FETCH or not found.wal_keep_bytes:
        return
    try:
        session = Session.connect(run.settings.dsn, run.abort)
    except Failure as failure:
        run.abort.check()
        run.say(f"not watching the server's WAL: {failure.message}")
        return
    runway = Runway(lsn_number(started.lsn), found.wal_keep_bytes, run.clock_s())

    def news(written_lsn: int) -> str:
        return runway.check(run.clock_s(), written_lsn, run.ledger.share)

    watch = WalWatch(session, news, run.say)
    scope.callback(watch.close)
    watch.start()


def _expect(run: Run, started: Started, session: Session) -> None:
    run.ledger.expected_bytes = started.estimated_bytes
    warning = preflight.room(started.estimated_bytes, free_bytes(run.settings.to))
    if warning:
        run.say(warning)
    run.pacing.begin(started.estimated_bytes, session.waited_s)
    run.ledger.phase = Phase.READING


def free_bytes(url: str) -> int | None:
    """Return the room below a file:// target; object stores do not say."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    try:
        stat = os.statvfs(parts.path)
    except OSError:
        return None
    return stat.f_bavail * stat.f_frsize


def _describe(
    run: Run, found: Found, ends: tuple[Started, Ended], archives: tuple[Archive, ...]
) -> Published:
    started, ended = ends
    return Published(
        id=run.place.backup_id,
        started_at_s=run.ledger.started_at_s,
        finished_at_s=run.clock_s(),
        server_version=found.server_version,
        system_identifier=found.system.identifier,
        timeline=started.timeline,
        start_lsn=started.lsn,
        end_lsn=ended.lsn,
        wal=run.settings.wal,
        archives=archives,
        tablespaces=tuple(
            Tablespace(space.oid, space.location) for space in started.spaces if space.oid
        ),
        wal_segment_bytes=found.segment_bytes,
        key_id=run.place.key.id if run.place.key else "",
        verified_in_stream=True,
        from_standby=found.from_standby,
        label=run.settings.label,
        tool=f"knockon {__version__}",
        statistics={
            "read_bytes": float(run.ledger.read_bytes),
            "seconds": run.clock_s() - run.ledger.started_at_s,
        },
    )


def _publish(run: Run, published: Published) -> Published:
    """Write the object whose existence makes the backup exist; nothing may stop it half-way."""
    key = run.place.key
    data = to_json(published, key.sign if key else None)
    with contextlib.suppress(Taken):  # the id is ours alone: an answer of ours got lost
        run.place.store.put_new(published_key(published.id), data)
    run.ledger.phase = Phase.DONE
    return published
