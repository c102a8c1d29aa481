"""Incidents that our own code stumbles over: counted, and said loudly with the place."""

from __future__ import annotations

from dataclasses import dataclass

from agent.daemon.log import Log
from agent.daemon.metrics import Metrics
from agent.model import Incident


@dataclass(frozen=True, slots=True)
class Stumbles:
    """Takes note of them; called with the incident and what was raised."""

    metrics: Metrics
    log: Log

    def __call__(self, incident: Incident, error: Exception) -> None:
        """Count it and say where; the same one is said once in ten minutes."""
        self.metrics.add("diagnosis_failures_total")
        says = f"Incident {incident.id} cannot be diagnosed, which is a fault of ours: {error!r}"
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
