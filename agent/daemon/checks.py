"""Is everybody well? Sources, journal files, the disk, the API: as metrics and, once, as words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.daemon.affairs import Moment
from agent.daemon.backups import Backups
from agent.daemon.blindness import Sight
from agent.daemon.digest import Digest
from agent.daemon.http import Pulse
from agent.daemon.inbox import Inbox
from agent.daemon.log import Log
from agent.daemon.metrics import SOURCES, Metrics
from agent.journal.health import JournalHealth, check_journal, known_flags

JOURNAL_EVERY_S, UNREADABLE_EVERY_S = 3600.0, 30.0
RECORDER_SILENT_S = 5.0
_RESULTS = {
    "created": "created",
    "existed": "exists",
    "over_budget": "dropped",
    "pushed_out": "dropped",
    "forbidden": "refused",
    "refused": "refused",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers that other threads count."""

    restarts: Callable[[], Mapping[str, int]]
    down: Callable[[], Mapping[str, str]]
    requests: Callable[[], Mapping[tuple[str, str, str], int]]
    watches: Callable[[], Mapping[str, int]]
    published: Callable[[], Mapping[str, int]]
    troubles: Callable[[], tuple[str, ...]]  # of the disk, of publishing
    on_disk: Callable[[Callable[[], None]], bool]  # for what may wait for a disk


@dataclass(slots=True)
class Checks:
    """Looks at everybody once a second, and at the journal's files once an hour."""

    metrics: Metrics
    digest: Digest
    inbox: Inbox
    backups: Backups
    pulse: Pulse
    log: Log
    counts: Counts
    folders: tuple[Path, ...]
    machine_id: str
    sources: tuple[str, ...]  # those that were started
    _journal_s: float = float("-inf")
    _checked_with: str = ""
    _begun_s: float | None = None
    health: JournalHealth | None = None

    def show(self, moment: Moment) -> None:
        """Set every number that is not set where it arises."""
        if self._begun_s is None:
            self._begun_s = moment.steady_s
        self._counts()
        self._journal(moment)
        for source in self.sources:
            self.metrics.set("source_up", float(self._is_up(source, moment)), source)
        self.metrics.set("announced_backups", len(self.backups.running))
        recorder = "recorder" in self.sources
        seconds = self.digest.seconds
        if recorder:
            seconds.measure_ring()
        if not self.pulse.ready and (seconds.last_s is not None or not recorder):
            self.pulse.ready = True
        for trouble in (*self.counts.troubles(), seconds.trouble):
            if trouble:
                self.log.complain(trouble)

    def sight(self, moment: Moment) -> Sight:
        """Say who cannot see now: what the alerts JournalUnreadable and RecorderBlind are about."""
        seconds, health = self.digest.seconds, self.health
        hidden = health is not None and any(file.fault for file in health.files)
        journal: tuple[str, ...] = ()
        if hidden or not self._is_up("journal", moment):
            spot, why = self.digest.blind.get("journal"), self.counts.down().get("journal")
            known = (why, spot.why if spot else "", *(health.sentences if health else ()))
            journal = tuple(filter(None, known)) or ("No entry could be read so far.",)
        recorder = ""
        if "recorder" in self.sources and not self._is_up("recorder", moment):
            why = self.counts.down().get("recorder")
            recorder = why or seconds.trouble or "no sample was taken"
        return Sight(journal, recorder, seconds.last_s)

    def _counts(self) -> None:
        total = self.metrics.total
        for source in SOURCES:
            total("facts_dropped_total", self.inbox.dropped[source], source)
            total("source_restarts_total", self.counts.restarts().get(source, 0), source)
        for labels, count in dict(self.counts.requests()).items():
            total("kube_requests_total", count, *labels)
        for reason, count in dict(self.counts.watches()).items():
            total("kube_watch_restarts_total", count, reason)
        results: dict[str, int] = {}
        for word, count in dict(self.counts.published()).items():
            if word in _RESULTS:
                results[_RESULTS[word]] = results.get(_RESULTS[word], 0) + count
        for result, count in results.items():
            total("events_published_total", count, result)

    def _is_up(self, source: str, moment: Moment) -> bool:
        if source in self.counts.down() or source in self.digest.blind:
            return False
        if source == "recorder":
            last_s = self.digest.seconds.last_s
            begun_s = self._begun_s or 0.0
            if last_s is None:
                return moment.steady_s - begun_s < RECORDER_SILENT_S
            return moment.now_s - last_s < RECORDER_SILENT_S
        if source == "journal":
            heard = self.digest.reading.entries > 0
            return heard or self.health is None or self.health.entries > 0
        return True

    def _journal(self, moment: Moment) -> None:
        reading = self.digest.reading
        if reading.newest_s is not None:
            self.metrics.set("journal_last_entry_timestamp_seconds", reading.newest_s)
        behind = not reading.caught_up and reading.newest_s is not None
        lag_s = max(0.0, moment.now_s - (reading.newest_s or 0.0)) if behind else 0.0
        self.metrics.set("journal_lag_seconds", round(lag_s, 3))
        fresh_reader = reading.libsystemd != self._checked_with
        well = self.health is None or self.health.well
        every_s = JOURNAL_EVERY_S if well else UNREADABLE_EVERY_S  # it may be empty for a moment
        if not fresh_reader and 0 <= moment.steady_s - self._journal_s < every_s:
            return
        self._journal_s, self._checked_with = moment.steady_s, reading.libsystemd
        self.counts.on_disk(lambda: self._look(moment.now_s, reading.libsystemd))

    def _look(self, now_s: float, libsystemd: str) -> None:
        self.health = check_journal(
            self.folders,
            now_s=now_s,
            machine_id=self.machine_id,
            known_flags=known_flags(libsystemd),
        )
        unreadable = sum(bool(file.fault) for file in self.health.files)
        self.metrics.set("journal_unreadable_files", unreadable)
        for sentence in self.health.sentences:
            self.log.complain(sentence)
