"""Each open incident's way from the first kill line to everybody who must hear of it.

It is diagnosed when it opens and whenever more is known. A victim is told once the cause is clear
and the facts had a moment to come in; node and offender when it is known how many were hurt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.daemon.config import IncidentSettings
from agent.daemon.minutes import Minutes
from agent.diagnosis.diagnose import diagnose
from agent.diagnosis.unfolding import Stage, Told
from agent.kube.announce import announcements
from agent.kube.event_body import Announcement
from agent.model import Cause, Diagnosis, Incident, Pod, Probe
from agent.report.jsonform import document
from agent.report.view import Origin, report
from agent.sources.kept import kept, packed
from agent.times import rfc3339
from agent.words import counted

NODE_TOLD_AFTER_S = 60.0
_LOOK_AGAIN_S, _LOOK_AGAIN_LATER_S = 1.0, 5.0
_YOUNG_S = 15.0
_TO_VICTIMS = "RestartExplained"


@dataclass(frozen=True, slots=True)
class Moment:
    """Both times of a cycle: the wall's for the record, a steady one for durations."""

    now_s: float
    steady_s: float


@dataclass(slots=True)
class Affair:
    """One incident, and what was done about it."""

    incident: Incident
    opened_steady_s: float
    diagnosis: Diagnosis | None = None
    looked_steady_s: float = float("-inf")
    looked_at: tuple[int, float | None] = (0, None)
    settled: bool = False
    told: set[str] = field(default_factory=set)  # names of Events

    @property
    def size(self) -> tuple[int, float | None]:
        """What changes when something is added to the incident."""
        return len(self.incident.facts), self.incident.closed_at_s


@dataclass(frozen=True, slots=True)
class Stored:
    """One incident as it is kept: for programs, and whole, so that any report can be made of it."""

    incident: str
    document: Mapping[str, object]
    diagnosis: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one cycle brought: to be said, to be stored, to be announced."""

    sentences: tuple[str, ...] = ()
    documents: tuple[Stored, ...] = ()
    ended: tuple[Diagnosis, ...] = ()  # settled now, or once more with victims heard of late
    offers: tuple[Announcement, ...] = ()
    merged: tuple[str, ...] = ()  # told apart at first, and part of another one by now


@dataclass(slots=True)
class Affairs:
    """All incidents that are open."""

    settings: IncidentSettings
    minutes: Callable[[Incident], Minutes]
    pods: Callable[[], Sequence[Pod]]
    failed: Callable[[Incident, Exception], None]
    open: dict[str, Affair] = field(default_factory=dict)

    def resume(self, incident: str, names: Iterable[str]) -> set[str]:
        """Remember which Events an agent before us announced about an incident."""
        return self._before.setdefault(incident, set(names))

    _before: dict[str, set[str]] = field(default_factory=dict)

    def follow(
        self, told: Sequence[Told], still_open: Sequence[Incident], moment: Moment
    ) -> tuple[Outcome, tuple[Diagnosis, ...]]:
        """Do what is due now; the second part are the diagnoses of what has settled."""
        sentences: list[str] = []
        documents: list[Stored] = []
        offers: list[Announcement] = []
        settled: list[Diagnosis] = []
        over: list[Diagnosis] = []
        late = (Stage.SETTLED, Stage.GREW)
        ended = {one.incident.id for one in told if one.stage in late}
        now_open = {one.id: one for one in still_open}
        for one in told:
            now_open.setdefault(one.incident.id, one.incident)
        opened = {one.incident.id for one in told if one.stage is Stage.OPENED}
        grown = {one.incident.id for one in told if one.stage is Stage.GREW}
        for incident in now_open.values():
            affair = self._affair(incident, moment)
            affair.settled = incident.id in ended
            if not self._is_due(affair, moment):
                continue
            diagnosis, found, document = self._steps(affair, moment)
            if incident.id in opened:
                sentences.append(f"Incident {incident.id} opened: {diagnosis.verdict}")
            if found:
                sentences.append(f"Incident {incident.id} explained: {_to_whom(found)}.")
            offers += found
            documents.append(document)
            if affair.settled:
                word = "grew" if incident.id in grown else "settled"
                sentences.append(f"Incident {incident.id} {word}: {diagnosis.verdict}")
                over.append(diagnosis)
                settled += [] if incident.id in grown else [diagnosis]
        merged = tuple(name for name in self.open if name not in now_open)
        sentences += [f"Incident {name} is part of another one." for name in merged]
        for gone in (*merged, *(name for name in ended if name in self.open)):
            del self.open[gone]
        outcome = Outcome(tuple(sentences), tuple(documents), tuple(over), tuple(offers), merged)
        return outcome, tuple(settled)

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """What is known of the incidents that are open."""
        return tuple(one.diagnosis for one in self.open.values() if one.diagnosis)

    def _affair(self, incident: Incident, moment: Moment) -> Affair:
        affair = self.open.get(incident.id)
        if affair is None:
            affair = self.open[incident.id] = Affair(incident, moment.steady_s)
            affair.told = self._before.pop(incident.id, set())
        affair.incident = incident
        return affair

    def _is_due(self, affair: Affair, moment: Moment) -> bool:
        """At once when new or settled; then while it is told to nobody, or when it has grown."""
        if affair.diagnosis is None or affair.settled:
            return True
        age_s = moment.steady_s - affair.opened_steady_s
        pause_s = _LOOK_AGAIN_S if age_s < _YOUNG_S else _LOOK_AGAIN_LATER_S
        if moment.steady_s - affair.looked_steady_s < pause_s:
            return False
        grown = affair.looked_at != affair.size
        steps = (self.settings.ripe_s, self.settings.patience_s, NODE_TOLD_AFTER_S)
        looked_age_s = affair.looked_steady_s - affair.opened_steady_s
        return grown or any(looked_age_s < step_s <= age_s for step_s in steps)

    def _steps(
        self, affair: Affair, moment: Moment
    ) -> tuple[Diagnosis, list[Announcement], Stored]:
        """Diagnose one incident, and say what follows; a fault of ours in it stops no other.

        The incident then stands as unknown, with the fault named: on the node, in the store and in
        ``own_faults_total``. It is looked at again whenever it grows.
        """
        fault = affair.incident.fault  # said and counted where it was found
        try:
            if not fault:
                diagnosis, probes = self._look(affair, moment)
                document = self._document(affair, diagnosis, moment, probes)
                return diagnosis, self._to_tell(affair, diagnosis, moment), document
        except Exception as error:  # noqa: BLE001 - one poisonous incident must not silence the node
            self.failed(affair.incident, error)
            fault = type(error).__name__
        diagnosis = affair.diagnosis = undiagnosed(affair.incident, fault)
        affair.looked_steady_s, affair.looked_at = moment.steady_s, affair.size
        document = self._document(affair, diagnosis, moment)
        return diagnosis, self._to_tell(affair, diagnosis, moment), document

    def _look(self, affair: Affair, moment: Moment) -> tuple[Diagnosis, tuple[Probe, ...]]:
        minutes = self.minutes(affair.incident)
        blind = tuple(dict.fromkeys((*affair.incident.blind, *minutes.blind)))
        affair.diagnosis = diagnose(
            replace(affair.incident, blind=blind),
            pods=self.pods(),
            samples=minutes.samples,
            probes=minutes.probes,
        )
        affair.looked_steady_s, affair.looked_at = moment.steady_s, affair.size
        return affair.diagnosis, minutes.probes

    def _to_tell(self, affair: Affair, diagnosis: Diagnosis, moment: Moment) -> list[Announcement]:
        age_s = moment.steady_s - affair.opened_steady_s
        clear = diagnosis.cause is not Cause.UNKNOWN or age_s >= self.settings.patience_s
        to_victims = affair.settled or (clear and age_s >= self.settings.ripe_s)
        to_others = affair.settled or age_s >= NODE_TOLD_AFTER_S
        if not to_victims:
            return []
        found = [
            one
            for one in announcements(diagnosis, self.pods(), moment.now_s)
            if one.name not in affair.told and (to_others or one.body.get("reason") == _TO_VICTIMS)
        ]
        affair.told.update(one.name for one in found)
        return found

    def _document(
        self,
        affair: Affair,
        diagnosis: Diagnosis,
        moment: Moment,
        probes: tuple[Probe, ...] = (),
    ) -> Stored:
        whole = kept(diagnosis, self.pods(), probes)
        name, node = diagnosis.incident.id, diagnosis.incident.node
        origin = Origin("the agent on this node", node, pods=whole.pods, probes=whole.probes)
        document_of_it = {
            **document(report([diagnosis], origin)),
            "stage": "settled" if affair.settled else "open",
            "told_at": rfc3339(moment.now_s),
        }
        return Stored(name, document_of_it, packed(whole))


def undiagnosed(incident: Incident, raised: str) -> Diagnosis:
    """What is said of an incident that our own code stumbles over."""
    fault = f"a fault of Knock-on's own ({raised}) kept this from being diagnosed"
    return Diagnosis(
        incident=replace(incident, facts=()),  # what it stumbled over may be among them
        cause=Cause.UNKNOWN,
        confidence=0.0,
        planned=False,
        killer=None,
        offender=None,
        victims=(),
        chain=(),
        hypotheses=(),
        missing=(f"{fault}; the agent's log has the details",),
        verdict=f"Something happened on this node, but {fault}.",
    )


def _to_whom(found: Sequence[Announcement]) -> str:
    victims = sum(one.body.get("reason") == _TO_VICTIMS for one in found)
    others = len(found) - victims
    parts = [f"to {counted(victims, 'victim')}"] if victims else []
    parts += ["on the node and to whom it concerns"] if others else []
    return " and ".join(parts)
