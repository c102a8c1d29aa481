"""What our own code stumbles over: counted, and said loudly with the place in the code.

The agent goes on without that entry, those Facts or that diagnosis; whoever reads the log or looks
at ``own_faults_total`` learns of the bug all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.daemon.log import Log
from agent.daemon.metrics import Metrics
from agent.model import Fact, Incident, Record
from agent.words import counted


@dataclass(frozen=True, slots=True)
class Stumbles:
    """Takes note of them; the same one is said once in ten minutes."""

    metrics: Metrics
    log: Log

    def over_entry(self, record: Record, error: Exception) -> None:
        """The rules could not read an entry."""
        self._note("reading", f"An entry at {record.where} cannot be read", error)

    def over_facts(self, facts: Sequence[Fact], error: Exception) -> None:
        """Facts could not be put into incidents, and were set aside."""
        self._note("correlation", f"{counted(len(facts), 'fact')} cannot be correlated", error)

    def over_incident(self, incident: Incident, error: Exception) -> None:
        """An incident could not be diagnosed."""
        self._note("diagnosis", f"Incident {incident.id} cannot be diagnosed", error)

    def _note(self, step: str, what: str, error: Exception) -> None:
        self.metrics.add("own_faults_total", 1, step)
        says = f"{what}, which is a fault of ours: {error!r}"
        self.log.complain(f"{says} at {', '.join(places_of(error))}. Please report it.")


def places_of(error: BaseException) -> list[str]:
    """File, line and function of every call that led to an exception."""
    found, at = [], error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        file = "/".join(code.co_filename.split("/")[-2:])
        found.append(f"{file}:{at.tb_lineno} {code.co_name}")
        at = at.tb_next
    return found
