"""A diagnosis written by hand: the founding incident, with everything a report can show."""

from __future__ import annotations

from agent.model import (
    BlindSpot,
    Cause,
    Diagnosis,
    Evidence,
    Fact,
    Hypothesis,
    Incident,
    Killer,
    KillerKind,
    Kind,
    Link,
    Offender,
    Pod,
    Subject,
    SubjectKind,
    Trust,
    Victim,
)
from agent.report.view import Origin

KILL_S = 1526925761.25  # 2018-05-21 18:02:41.25 UTC
NODE = "gke-prod-node-1"

PODS = (
    Pod("prod", "pg-0", "uid-pg-0", "StatefulSet/pg", replicas_hint=1, node=NODE),
    Pod("prod", "mq-1", "uid-mq-1", "StatefulSet/mq", replicas_hint=3, node=NODE),
    Pod("web", "shop-1", "uid-shop-1", "Deployment/shop", replicas_hint=4, node=NODE),
    Pod("web", "shop-2", "uid-shop-2", "Deployment/shop", replicas_hint=4, node=NODE),
    Pod("kube-system", "proxy-x", "uid-proxy", "DaemonSet/proxy", node=NODE),
    Pod("prod", "backup-7", "uid-backup", "Job/backup", node=NODE),
    Pod("web", "calm-1", "uid-calm", "Deployment/calm", node="other-node"),
)


def fact(
    kind: Kind,
    offset_s: float | None,
    text: str,
    *,
    source: str = "journal",
    subject: Subject | None = None,
    trust: Trust = Trust.TRUSTED,
    count: int = 1,
) -> Fact:
    """Make a Fact at an offset from the kill."""
    at_s = None if offset_s is None else KILL_S + offset_s
    about = subject or Subject(SubjectKind.NODE, NODE)
    return Fact(kind, at_s, about, source, trust, text, count=count)


MONITOR = fact(Kind.MONITOR_KILLS_RUNTIME, 0.0, "Docker daemon failed!")
PRESSURE = fact(Kind.IO_PRESSURE, -74.2, "io full avg10=93.1", source="recorder")
SANDBOXES = tuple(
    fact(
        Kind.SANDBOX_CHANGED,
        12.0 + index,
        "Pod sandbox changed, it will be killed and re-created.",
        source="events",
        subject=Subject(SubjectKind.POD, pod.name, pod.namespace, pod.uid),
    )
    for index, pod in enumerate(PODS[:5])
)
OTHERS = (
    fact(Kind.SIGNAL_RECEIVED, 0.4, "Processing signal 'terminated'"),
    fact(Kind.UNIT_RESTART_SCHEDULED, 1.5, "docker.service: Scheduled restart job, counter is 1."),
    fact(Kind.NODE_NOT_READY, 3.0, "Node gke-prod-node-1 status is now: NodeNotReady"),
    fact(Kind.MONITOR_WORKS, -600.0, "Container runtime is healthy"),
)


def io_hypothesis() -> Hypothesis:
    """Return the winner, with evidence for and against."""
    return Hypothesis(
        Cause.IO_SATURATION,
        0.82,
        evidence_for=(
            Evidence(0.5, "The disk stalled every task for 74 s before the kill.", (PRESSURE,)),
            Evidence(0.6, "The health monitor said that docker did not answer.", (MONITOR,)),
        ),
        evidence_against=(Evidence(-0.2, "No hung task was logged by the kernel.", ()),),
    )


def founding(verdict: str | None = None) -> Diagnosis:
    """Return the founding incident."""
    incident = Incident(
        id="7f3a90c1d2",
        node=NODE,
        opened_at_s=KILL_S,
        closed_at_s=KILL_S + 130.4,
        facts=(PRESSURE, MONITOR, *SANDBOXES, *OTHERS),
        blind=(BlindSpot("journal", "27 lines were suppressed", KILL_S + 2, KILL_S + 9),),
    )
    lost = Hypothesis(
        Cause.PLANNED_RESTART,
        0.07,
        evidence_against=(Evidence(-0.9, "PID 1 was not asked to stop docker.", (MONITOR,)),),
        lost_because="the health monitor had already announced the kill",
    )
    said = (
        "The health monitor killed docker because the disk was saturated by prod/backup-7, "
        "and all 5 pods of the node were re-created with it."
    )
    return Diagnosis(
        incident=incident,
        cause=Cause.IO_SATURATION,
        confidence=0.82,
        planned=False,
        killer=Killer(KillerKind.HEALTH_MONITOR, "kube-docker-monitor.service", KILL_S),
        offender=Offender("pod", "backup-7", "prod", "share of written bytes (recorder, cgroup)"),
        victims=tuple(
            Victim(pod.namespace, pod.name, pod.uid, pod.owner, "sandbox re-created", KILL_S + 12)
            for pod in PODS[:5]
        ),
        chain=(
            Link(KILL_S - 95.0, "prod/backup-7 began to write 412 MB/s", "recorder"),
            Link(KILL_S - 74.2, "The disk stalled every task (io full 93 %)", "recorder"),
            Link(KILL_S, "The health monitor gave docker up: Docker daemon failed!", "journal"),
            *(
                Link(
                    KILL_S + 12 + i,
                    f"The sandbox of pod {p.namespace}/{p.name} was re-created",
                    "events",
                )
                for i, p in enumerate(PODS[:5])
            ),
        ),
        hypotheses=(io_hypothesis(), lost),
        missing=("the runtime probe: it would show how late docker answered",),
        verdict=said if verdict is None else verdict,
        advice=("Give backup-7 a rate limit (knockon backup does).",),
    )


def unknown() -> Diagnosis:
    """Return an incident nobody can explain, without times, pods or a killer."""
    incident = Incident(
        id="00ff00ff00",
        node="",
        opened_at_s=None,
        closed_at_s=None,
        facts=(fact(Kind.SANDBOX_CHANGED, None, "Pod sandbox changed", trust=Trust.QUOTED),),
    )
    return Diagnosis(
        incident=incident,
        cause=Cause.UNKNOWN,
        confidence=0.1,
        planned=False,
        killer=None,
        offender=None,
        victims=(Victim("", "lonely"),),
        chain=(),
        hypotheses=(Hypothesis(Cause.RUNTIME_CRASH, 0.1, lost_because="nothing speaks for it"),),
        missing=("the journal of the node",),
        verdict="",
    )


def origin(name: str = "bundle-1", *, spoofed: int = 0, missing: tuple[str, ...] = ()) -> Origin:
    """Return where it was read from."""
    return Origin(name, NODE, pods=PODS, missing=missing, spoofed=spoofed)
