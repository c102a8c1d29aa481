"""What the records of a ring that are no frames say: probes, notes, names, looks at processes."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.model import BlindSpot, Probe
from agent.recorder.frame import PodName
from agent.recorder.ring_format import What, read_words
from agent.recorder.top_processes import TopProcesses, unpacked


@dataclass(slots=True)
class Words:
    """Takes records in; the last word on one thing counts."""

    names: dict[str, PodName] = field(default_factory=dict)
    probes: dict[tuple[str, int], Probe] = field(default_factory=dict)
    blind: dict[tuple[str, str, int], BlindSpot] = field(default_factory=dict)
    limits: dict[str, None] = field(default_factory=dict)
    looks: dict[float, TopProcesses] = field(default_factory=dict)

    def take(self, payload: bytes) -> None:
        """Take in one record; raises Damaged."""
        if payload[0] == What.PROBE:
            (at_ms, took_ms, answered), (question,) = read_words(payload, 3, 1)
            probe = Probe(at_ms / 1000, question, took_ms / 1000, bool(answered))
            self.probes[question, at_ms] = probe
        elif payload[0] == What.NOTE:
            (from_ms, to_ms), (source, why) = read_words(payload, 2, 2)
            if from_ms or to_ms:
                spot = BlindSpot(source, why, from_ms / 1000, to_ms / 1000)
                self.blind[source, why, from_ms] = spot
            else:
                self.limits[why] = None
        elif payload[0] == What.NAME:
            _, (uid, namespace, name) = read_words(payload, 0, 3)
            self.names[uid] = (namespace, name)
        elif payload[0] == What.PROCESSES:
            top = unpacked(payload[1:])
            self.looks[top.at_s] = top

    def processes(self) -> list[TopProcesses]:
        """Give every look at the processes, with the pods' names as they are known at the end."""
        return [top.with_names(self.names) for top in self.looks.values()]
