"""What the agent itself cannot see, told on the Node: journals it cannot read, seconds it missed.

Metrics and the log have it at once. An Event is for whoever looks at the node and knows of neither;
so it waits until the trouble has lasted, and is said once a day (journal) or an hour (recorder).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.daemon.affairs import Moment
from agent.kube.event_body import Announcement
from agent.kube.node_notes import journal_unreadable, recorder_gap

HOLD_S = 60.0
LONG_GAP_S = 10.0  # of the recorder, while the agent ran
LONG_ABSENCE_S = 120.0  # of the whole agent: a rollout takes less
_NO_TURN = "the agent was not given a turn, as on a node short of CPU or memory"
_NOT_RUNNING = "the agent was not running"


@dataclass(frozen=True, slots=True)
class Sight:
    """Who cannot see at this moment, and why."""

    journal: tuple[str, ...] = ()  # sentences; none when it can be read
    recorder: str = ""  # why there are no samples; empty when there are
    last_sample_s: float | None = None


@dataclass(slots=True)
class Blindness:
    """Decides what of it is worth an Event."""

    node: str
    _since_s: dict[str, float] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)
    _gaps: list[tuple[float, float, str]] = field(default_factory=list)

    def absent(self, from_s: float, to_s: float) -> None:
        """Take note of a time in which the agent was not running."""
        if to_s - from_s >= LONG_ABSENCE_S:
            self._gaps.append((from_s, to_s, _NOT_RUNNING))

    def missed(self, gaps: Sequence[tuple[float, float]]) -> None:
        """Take note of gaps between two samples."""
        self._gaps += [(*gap, _NO_TURN) for gap in gaps if gap[1] - gap[0] >= LONG_GAP_S]

    def look(self, sight: Sight, moment: Moment) -> list[Announcement]:
        """Give what is to be said of it now, each once."""
        found = [recorder_gap(self.node, *gap, moment.now_s) for gap in self._gaps]
        self._gaps.clear()
        if self._lasts("journal", bool(sight.journal), moment):
            found.append(journal_unreadable(self.node, sight.journal, moment.now_s))
        if self._lasts("recorder", bool(sight.recorder), moment):
            since_s = sight.last_sample_s
            if since_s is None:
                since_s = moment.now_s - (moment.steady_s - self._since_s["recorder"])
            found.append(recorder_gap(self.node, since_s, None, sight.recorder, moment.now_s))
        fresh = [one for one in found if one.is_possible and one.name not in self._said]
        self._said.update(one.name for one in fresh)
        return fresh

    def _lasts(self, what: str, troubled: bool, moment: Moment) -> bool:
        if not troubled:
            self._since_s.pop(what, None)
            return False
        since_s = self._since_s.setdefault(what, moment.steady_s)
        return moment.steady_s - since_s >= HOLD_S
