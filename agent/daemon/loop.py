"""The one thread that owns the state. Each cycle returns a sentence when there is something to say.

What a cycle learnt is one change in the memory: Facts with the cursor behind them, incidents told,
Events decided. So an agent killed between any two instructions goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.daemon.affairs import Affairs, Moment, Outcome
from agent.daemon.aftermath import Aftermath
from agent.daemon.backups import Backups
from agent.daemon.blindness import Blindness
from agent.daemon.checks import Checks
from agent.daemon.digest import Digest
from agent.daemon.gauges import Gauges
from agent.daemon.herald import Herald, row_of
from agent.daemon.http import Pulse
from agent.daemon.inbox import Inbox
from agent.daemon.metrics import Metrics
from agent.daemon.rows import told_row
from agent.daemon.state import MOST_FACTS, Change, Memory, Past, change_of
from agent.daemon.store import Store
from agent.diagnosis.openers import POD_OPENERS, opens_for_node
from agent.diagnosis.unfolding import Live, Told, key_of
from agent.kube.event_body import Announcement
from agent.model import BlindSpot, Diagnosis, Fact
from agent.times import span

SHOW_EVERY_S = 1.0
MOST_ITEMS = 400
TELL_EVERY_S = 0.2
URGENT_SHARE, CALM_SHARE = 4, 40  # times as long as correlating took, before it is done again
SAVE_CURSOR_S = 5.0
HEARTBEAT_S = 30.0
PODS_WITHIN_S, KNOWN_PODS_WITHIN_S = 600.0, 30.0
DOWN_WORTH_SAYING_S = 3.0
STEP_BACK_S = 5.0
_FACTS_A_LINE = 200


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the loop works with."""

    inbox: Inbox
    live: Live
    digest: Digest
    affairs: Affairs
    aftermath: Aftermath
    blindness: Blindness
    herald: Herald
    gauges: Gauges
    backups: Backups
    checks: Checks
    memory: Memory
    store: Store
    metrics: Metrics
    pulse: Pulse
    name_pods: Callable[[], None]


@dataclass(slots=True)
class _Clockface:
    """When what was done last, in steady seconds."""

    next_tell_s: float = 0.0
    next_urgent_s: float = 0.0
    saved_s: float = float("-inf")
    shown_s: float = float("-inf")
    started_s: float = 0.0
    wall_ahead_s: float | None = None  # of the steady clock


@dataclass(slots=True)
class Loop:
    """Owns the state of the agent."""

    parts: Parts
    steady: Callable[[], float] = time.monotonic
    _clock: _Clockface = field(default_factory=_Clockface)
    _past_s: float | None = None  # while we catch up: when our predecessor stopped
    _cursor: str = ""
    _untold: bool = False
    _urgent: bool = False

    def resume(self, past: Past, now_s: float) -> str:
        """Go on where a predecessor stopped; say how long nobody looked."""
        parts = self.parts
        facts = tuple(past.facts.values())
        parts.digest.pods.restore(past.pods, now_s)
        parts.digest.new(facts)
        parts.live.restore(facts, past.told)
        parts.aftermath.restore(past.after)
        for incident, names in past.said.items():
            parts.affairs.resume(incident, names)
        again = parts.herald.resume(past.offers.values())
        self._cursor = parts.digest.reading.cursor = past.cursor
        self._past_s, self._clock.started_s = past.alive_s, self.steady()
        self._untold = self._urgent = bool(past.facts)
        if past.alive_s is None:
            return "Nothing is remembered of an agent before: a first start."
        gap_s = now_s - past.alive_s
        if gap_s >= DOWN_WORTH_SAYING_S:
            why = "the agent was not running"
            parts.live.add_blind(BlindSpot("agent", why, past.alive_s, now_s))
            if "recorder" in parts.checks.sources:
                parts.blindness.absent(past.alive_s, now_s)
            for source in ("pods", "events", "recorder"):
                parts.metrics.add("blind_seconds_total", gap_s, source)
        blind = f"blind for {span(max(gap_s, 0.0))}; what the journal has of it is read now"
        offered = f"; {again} Events are offered again" if again else ""
        return f"Going on behind an agent that stopped: {blind}{offered}."

    def cycle(self, now_s: float) -> str:
        """Take in what came, tell what is new, write down what must not be forgotten."""
        parts, moment = self.parts, Moment(now_s, self.steady())
        stepped = self._stepped_back(moment)
        items = parts.inbox.take(MOST_ITEMS)
        fresh = parts.digest.take(items, now_s)
        strained = parts.digest.seconds.strained
        fresh += parts.backups.look(now_s, parts.digest.pods.all(), titles=strained)
        if fresh:
            parts.live.add(fresh)
            self._untold = True
            self._urgent = self._urgent or any(map(_opens, fresh))
        if parts.digest.pods.changed:
            parts.digest.pods.changed = False
            parts.name_pods()
        told = (*self._finish(stepped), *self._tell(moment))
        outcome, settled = parts.affairs.follow(told, parts.live.open, moment)
        for one in outcome.documents:
            parts.store.put(one.incident, one.document, one.diagnosis)
        for name in outcome.merged:
            parts.store.drop(name)
            parts.gauges.drop(name)
        parts.aftermath.take(outcome.ended)
        offers = self._offers(outcome, moment)
        rows = {one.name: row_of(one) for one in offers}
        done = parts.herald.release(moment.steady_s)
        change = change_of(now_s, facts=fresh, told=self._told_rows(told), offers=rows, done=done)
        change |= {"pods": new} if (new := parts.digest.pods.news()) else {}
        change |= {"after": after} if (after := parts.aftermath.news()) else {}
        number = self._remember(change, moment)
        parts.herald.hold(number, offers, moment.steady_s)
        self._show(
            moment,
            settled,
            outcome.ended,
            changed=bool(outcome.documents or outcome.merged or told),
        )
        parts.pulse.beat()
        return " ".join(filter(None, (stepped, *outcome.sentences)))

    def drain(self, now_s: float) -> None:
        """Take in what waits and write all of it down, as the last thing."""
        self.cycle(now_s)
        moment = Moment(now_s, self.steady())
        self.parts.memory.snapshot(self._everything(moment), moment.steady_s)

    def _offers(self, outcome: Outcome, moment: Moment) -> tuple[Announcement, ...]:
        """Every Event that is due: of incidents, of their end, and of what we cannot see."""
        parts = self.parts
        parts.blindness.missed(parts.digest.seconds.missed())
        ends = parts.aftermath.look(moment)
        doubts = parts.blindness.look(parts.checks.sight(moment), moment)
        return (*outcome.offers, *ends, *doubts) if parts.herald.publisher is not None else ()

    # -- telling ---------------------------------------------------------------------------------

    def _tell(self, moment: Moment) -> Sequence[Told]:
        clock = self._clock
        due_s = clock.next_urgent_s if self._urgent else clock.next_tell_s
        if moment.steady_s < due_s:
            return ()
        begun_s = self.steady()
        settling = self._pods_are_known(moment)
        told = self.parts.live.tell(self._story_time_s(moment), settling=settling)
        if self._untold:
            took_s = self.steady() - begun_s
            clock.next_tell_s = begun_s + max(TELL_EVERY_S, CALM_SHARE * took_s)
            clock.next_urgent_s = begun_s + max(TELL_EVERY_S, URGENT_SHARE * took_s)
        self._untold = self._urgent = False
        return told

    def _pods_are_known(self, moment: Moment) -> bool:
        """After a start victims have no names until the pods were listed: wait for that.

        While the API server is away nobody could be told anyway; who is known from before has a
        name already, so the wait is short then.
        """
        parts = self.parts
        pods = parts.digest.pods
        longest_s = KNOWN_PODS_WITHIN_S if pods.gone else PODS_WITHIN_S
        waited = moment.steady_s - self._clock.started_s >= longest_s
        return waited or pods.known or "pods" not in parts.checks.sources

    def _story_time_s(self, moment: Moment) -> float:
        """The time of the story: the clock's, but while reading the past, the past's."""
        reading = self.parts.digest.reading
        if reading.caught_up or moment.steady_s - self._clock.started_s > HEARTBEAT_S:
            if reading.caught_up:
                self._past_s = None
            if reading.newest_s is None or reading.caught_up:
                return moment.now_s
        if reading.newest_s is not None:
            return min(reading.newest_s, moment.now_s)
        return min(self._past_s or moment.now_s, moment.now_s)

    def _stepped_back(self, moment: Moment) -> str:
        """Say that the clock was set back; facts from before it would wait for the old time."""
        ahead_s, before_s = moment.now_s - moment.steady_s, self._clock.wall_ahead_s
        self._clock.wall_ahead_s = ahead_s
        if before_s is None or before_s - ahead_s < STEP_BACK_S:
            return ""
        back_s = before_s - ahead_s
        why = f"the node's clock was set back by {span(back_s)}"
        self.parts.live.add_blind(BlindSpot("clock", why, moment.now_s, moment.now_s + back_s))
        return f"The node's clock was set back by {span(back_s)}; what was open is closed."

    def _finish(self, stepped: str) -> Sequence[Told]:
        return self.parts.live.finish() if stepped else ()

    # -- remembering -----------------------------------------------------------------------------

    def _remember(self, change: Change, moment: Moment) -> int:
        memory, clock = self.parts.memory, self._clock
        if memory.wants_snapshot(moment.steady_s):
            clock.saved_s = moment.steady_s
            return memory.snapshot(
                [*self._everything(moment), _only(change, "told", "offers")], moment.steady_s
            )
        reading = self.parts.digest.reading
        pause_s = SAVE_CURSOR_S if reading.cursor != self._cursor else HEARTBEAT_S
        if len(change) == 1 and moment.steady_s - clock.saved_s < pause_s:
            return memory.safe
        clock.saved_s = moment.steady_s
        self._cursor = reading.cursor
        return memory.append({**change, "cursor": reading.cursor, "boot": reading.boot})

    def _everything(self, moment: Moment) -> list[Change]:
        parts = self.parts
        reading = parts.digest.reading
        facts = parts.live.window[-MOST_FACTS:]
        by_key = {key_of(fact): fact for fact in facts}
        changes = [
            change_of(moment.now_s, facts=facts[at : at + _FACTS_A_LINE])
            for at in range(0, len(facts), _FACTS_A_LINE)
        ]
        told = [told_row(one, by_key) for one in parts.live.remembered]
        last = change_of(moment.now_s, told=told, offers=parts.herald.offers)
        said = {name: sorted(one.told) for name, one in parts.affairs.open.items()}
        last |= {"pods": parts.digest.pods.rows(), "after": parts.aftermath.rows()}
        last |= {"said": said, "cursor": reading.cursor, "boot": reading.boot}
        return [*changes, last]

    def _told_rows(self, told: Sequence[Told]) -> list[list[object]]:
        if not told:
            return []
        by_key = {key_of(fact): fact for fact in self.parts.live.window}
        ids = {one.incident.id for one in told}
        return [told_row(one, by_key) for one in self.parts.live.remembered if one.id in ids]

    # -- showing ---------------------------------------------------------------------------------

    def _show(
        self,
        moment: Moment,
        settled: Sequence[Diagnosis],
        ended: Sequence[Diagnosis],
        *,
        changed: bool,
    ) -> None:
        parts, clock = self.parts, self._clock
        if changed or moment.steady_s - clock.shown_s >= SHOW_EVERY_S:
            clock.shown_s = moment.steady_s
            grown = [one for one in ended if one not in settled]
            parts.gauges.show(parts.affairs.diagnoses, settled, moment.steady_s, grown)
            parts.checks.show(moment)


def _opens(fact: Fact) -> bool:
    return opens_for_node(fact) or fact.kind in POD_OPENERS


def _only(change: Change, *names: str) -> Change:
    return {name: part for name, part in change.items() if name in (*names, "at")}
