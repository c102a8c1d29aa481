"""What the recorder in the machine saw: rings are written there and read here."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agent.model import CgroupCounters, Sample
from agent.recorder.ring_read import load_ring
from tests.lab.vm.machine import Machine

_RING = "/run/knockon-lab.ring"


@contextmanager
def recording(machine: Machine) -> Iterator[None]:
    """Run `knockon record` in the machine, as a unit of its own."""
    machine.check(
        f"rm -f {_RING}; systemd-run -q --unit=lab-recorder knockon record run --ring {_RING}"
    )
    machine.check(f"until [ -s {_RING} ]; do sleep 0.5; done", 120)
    try:
        yield
    finally:
        machine.check("systemctl stop lab-recorder.service")


def latest(machine: Machine, after_s: float = 12.0) -> Sample:
    """Wait until the recorder has looked around again, and return the newest sample."""
    time.sleep(after_s)
    return load_ring(base64.b64decode(machine.check(f"base64 {_RING}"))).samples[-1]


def of_unit(sample: Sample, name: str) -> CgroupCounters:
    """The counters of one unit or pod, which is there once."""
    (found,) = [one for one in sample.cgroups if one.owner.name == name]
    return found
