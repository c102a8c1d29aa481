"""Makes the flight recorder of a configuration, with its probes already asking."""

from __future__ import annotations

from pathlib import Path

from agent.daemon.config import Config
from agent.daemon.places import questions_of, ring_path
from agent.recorder.host import Host
from agent.recorder.loop import Looks, Names, Probing, Recorder
from agent.recorder.probe import NearMisses, Prober, ProbeSettings
from agent.recorder.ring import RingWriter
from agent.recorder.sampler import Sampler


def make_recorder(config: Config, names: Names, looks: Looks) -> Recorder:
    """Open the ring and every counter, and begin to ask the runtimes."""
    killer_s = config.probe.killer_timeout_s
    settings = ProbeSettings(config.probe.mean_gap_s, killer_s, 2 * killer_s)
    writer = RingWriter(ring_path(config), config.recorder.ring_mib << 20)
    asked = [(Prober(one, settings), one) for one in questions_of(config)]
    probing = [Probing(prober, NearMisses(one, killer_s)) for prober, one in asked]
    recorder = Recorder(Sampler(Host(Path(config.node.root))), writer, probing, names, looks)
    for prober, _ in asked:
        prober.start()
    return recorder
