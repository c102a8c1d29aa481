"""An hour of a full node, made up from a seed: what a report must hold, and stay small."""

from __future__ import annotations

import random
from dataclasses import replace

from agent.model import (
    CgroupCounters,
    Diagnosis,
    DiskCounters,
    Fact,
    Kind,
    Offender,
    Pod,
    Probe,
    Psi,
    Sample,
    Subject,
    SubjectKind,
    Victim,
)
from agent.report.view import Origin, Report, report
from tests.handmade import KILL_S, NODE, fact, founding

PODS = 110
HOUR_S = 3600
FROM_S = KILL_S - 45 * 60.0


def an_hour(seconds: int = HOUR_S, pods: int = PODS) -> tuple[Sample, ...]:
    """Samples in which everything moves all the time, the worst there is for a small page."""
    rng = random.Random(7)
    owners = [Subject(SubjectKind.POD, f"shop-{n}", "web", f"uid-{n}") for n in range(pods)]
    moved = [0] * pods
    stalls = [0.0] * 5
    read = written = 0
    samples: list[Sample] = []
    for second in range(seconds):
        for n in rng.sample(range(pods), pods // 3):
            moved[n] += rng.randrange(1 << 20)
        moved[0] += 300 << 20 if second > seconds * 0.6 else 0
        stalls = [total + rng.random() for total in stalls]
        read, written = read + rng.randrange(400 << 20), written + rng.randrange(90 << 20)
        samples.append(
            Sample(
                at_s=FROM_S + second,
                cpu=Psi(0.0, stalls[0]),
                io=Psi(0.0, stalls[1], 0.0, stalls[2]),
                memory=Psi(0.0, stalls[3], 0.0, stalls[4]),
                memory_available_bytes=(8 << 30) + rng.randrange(1 << 30),
                disks=(DiskCounters("vda", read, written, 0, 0, 0.0, 0.0),),
                cgroups=tuple(
                    CgroupCounters(owner, read_bytes=total)
                    for owner, total in zip(owners, moved, strict=True)
                ),
            )
        )
    return tuple(samples)


def probes(seconds: int = HOUR_S) -> tuple[Probe, ...]:
    """A question every ten seconds, some of which nobody answers."""
    rng = random.Random(8)
    return tuple(
        Probe(FROM_S + at_s, "docker ps", rng.random() * 9, rng.random() < 0.9)
        for at_s in range(0, seconds, 10)
    )


def incident(pods: int = PODS) -> Diagnosis:
    """The founding incident on a full node: every pod is a victim, and every one says so."""
    names = [f"shop-{n}-7d9c5b8f64-{n:05d}" for n in range(pods)]
    facts: list[Fact] = []
    for n, name in enumerate(names):
        about = Subject(SubjectKind.POD, name, "web", f"uid-{n}")
        lines = "Pod sandbox changed, it will be killed and re-created. " * 3
        facts.append(fact(Kind.SANDBOX_CHANGED, 10 + n / 5, lines, source="events", subject=about))
        facts += [
            fact(Kind.SHIM_LOST, 3 + n / 9, f'shim disconnected id="{n:064x}" ' * 2, subject=about)
            for _ in range(2)
        ]
    known = founding()
    return replace(
        known,
        incident=replace(known.incident, facts=(*known.incident.facts, *facts)),
        victims=tuple(
            Victim("web", name, f"uid-{n}", f"Deployment/shop-{n}", "sandbox re-created", KILL_S)
            for n, name in enumerate(names)
        ),
        offender=Offender("pod", "shop-0", "web", "by cgroup counters"),
    )


def whole_report(samples: tuple[Sample, ...] | None = None) -> Report:
    """The report of it all."""
    owners = [Pod("web", f"shop-{n}", f"uid-{n}", f"Deployment/shop-{n}") for n in range(PODS)]
    origin = Origin(
        "bundle-1",
        NODE,
        pods=tuple(owners),
        samples=an_hour() if samples is None else samples,
        probes=probes(),
        command="knockon why --bundle bundle-1",
    )
    return report([incident()], origin)
