"""The gauges of open incidents: bounded in number, and kept for a quarter of an hour after."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.daemon.metrics import Labels, Metrics
from agent.model import Cause, Diagnosis, KillerKind

KEPT_S = 900.0
MOST_INCIDENTS = 20
MOST_VICTIMS = 110


def killer_word(diagnosis: Diagnosis) -> str:
    """Give the word for who pulled the trigger."""
    return str(diagnosis.killer.kind if diagnosis.killer else KillerKind.NONE)


@dataclass(slots=True)
class Gauges:
    """Shows what is open, and what was until a short while ago."""

    metrics: Metrics
    _shown: OrderedDict[str, tuple[Diagnosis, float | None]] = field(default_factory=OrderedDict)

    def begin(self) -> None:
        """Show every cause with no incident."""
        self.show((), (), 0.0)

    def show(
        self,
        opened: Sequence[Diagnosis],
        settled: Iterable[Diagnosis],
        steady_s: float,
        grown: Iterable[Diagnosis] = (),
    ) -> None:
        """Take note of what is open, what has settled by now, and what grew after that.

        What grew is shown anew, with its victims, and counted no second time.
        """
        for diagnosis in settled:
            self._count(diagnosis)
            self._shown[diagnosis.incident.id] = (diagnosis, steady_s)
        for diagnosis in grown:
            self._shown[diagnosis.incident.id] = (diagnosis, steady_s)
        for diagnosis in opened:
            self._announce(diagnosis)
            self._shown[diagnosis.incident.id] = (diagnosis, None)
        for name, (_, ended_s) in list(self._shown.items()):
            if ended_s is not None and steady_s - ended_s >= KEPT_S:
                del self._shown[name]
        while len(self._shown) > MOST_INCIDENTS:
            self._shown.popitem(last=False)
        by_cause = Counter(diagnosis.cause for diagnosis in opened)
        counts: dict[Labels, float] = {(str(cause),): by_cause[cause] for cause in Cause}
        self.metrics.replace("open_incidents", counts)
        shown = [diagnosis for diagnosis, _ in self._shown.values()]
        self.metrics.replace("open_incident_info", {_info(one): 1.0 for one in shown})
        self.metrics.replace("open_incident_victim", dict(_victims(shown)))

    def drop(self, incident_id: str) -> None:
        """Show an incident no longer that turned out to be part of another one."""
        self._shown.pop(incident_id, None)

    def _announce(self, diagnosis: Diagnosis) -> None:
        """Show the counter at 0 while the incident is open: else its first step is not seen."""
        opened_s = diagnosis.incident.opened_at_s
        if opened_s is not None:
            before_s = self.metrics.value("last_incident_timestamp_seconds")
            self.metrics.set("last_incident_timestamp_seconds", max(opened_s, before_s))
        self.metrics.add("incidents_total", 0, *_counted(diagnosis))

    def _count(self, diagnosis: Diagnosis) -> None:
        self._announce(diagnosis)
        self.metrics.add("incidents_total", 1, *_counted(diagnosis))
        self.metrics.add("incident_victims_total", len(diagnosis.victims))


def _counted(diagnosis: Diagnosis) -> Labels:
    return (str(diagnosis.cause), killer_word(diagnosis), str(diagnosis.planned).lower())


def _info(diagnosis: Diagnosis) -> Labels:
    killer, offender = diagnosis.killer, diagnosis.offender
    by = (offender.kind, offender.namespace, offender.name) if offender else ("", "", "")
    names = (
        diagnosis.incident.id,
        str(diagnosis.cause),
        killer_word(diagnosis),
        killer.name if killer else "",
        *by,
        str(diagnosis.planned).lower(),
    )
    return tuple(name[:253] for name in names)


def _victims(shown: Sequence[Diagnosis]) -> list[tuple[Labels, float]]:
    series: dict[Labels, float] = {
        (one.incident.id, victim.namespace, victim.pod, victim.owner.partition("/")[0]): 1.0
        for one in reversed(shown)
        for victim in one.victims
    }
    return list(series.items())[:MOST_VICTIMS]
