"""The words used everywhere: Record, Fact, Sample, Incident, Hypothesis, Diagnosis.

Times are Unix seconds in UTC (``_s``); ``None`` means that the source gave no time.
Everything is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from agent.kinds import Kind

__all__ = [
    "BlindSpot",
    "Cause",
    "CgroupCounters",
    "Diagnosis",
    "DiskCounters",
    "Evidence",
    "Fact",
    "Hypothesis",
    "Incident",
    "Killer",
    "KillerKind",
    "Kind",
    "Link",
    "Offender",
    "Pod",
    "Probe",
    "Psi",
    "Record",
    "Sample",
    "Subject",
    "SubjectKind",
    "Trust",
    "Victim",
]

NO_DETAIL: Mapping[str, str] = MappingProxyType({})  # shared, read-only


class Trust(StrEnum):
    """Who vouches for the identity of the speaker."""

    TRUSTED = "trusted"  # journald's own underscore fields, the kernel, or an API object
    QUOTED = "quoted"  # text somebody pasted: nobody vouches for who wrote it


@dataclass(frozen=True, slots=True)
class Record:
    """One journal entry, one Kubernetes event or one line of a pasted log, before any rule saw it.

    ``fields`` uses journald's names (``_SYSTEMD_UNIT``, ``_TRANSPORT``, ``_PID``, ``UNIT``,
    ``MESSAGE_ID`` ...); events use ``EVENT_*``, ``OBJECT_*`` and ``NODE``. For quoted text the
    fields are what the text claims.
    """

    at_s: float | None
    source: str  # journal, kernel, events, text
    message: str
    fields: Mapping[str, str]
    trust: Trust
    where: str = ""  # file:line or cursor, so that a reader can find it again
    boot: str = ""
    count: int = 1
    since_s: float | None = None  # first of ``count`` repetitions


class SubjectKind(StrEnum):
    """What a Fact is about."""

    NODE = "node"
    UNIT = "unit"
    POD = "pod"
    CONTAINER = "container"
    PROCESS = "process"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Subject:
    """The one thing a Fact is about, named as the source named it."""

    kind: SubjectKind
    name: str
    namespace: str = ""
    uid: str = ""

    def __str__(self) -> str:
        prefix = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind}/{prefix}{self.name}" if self.name else str(self.kind)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing one source saw, once, about one subject."""

    kind: Kind
    at_s: float | None
    subject: Subject
    source: str  # journal, kernel, events, pods, nodes, recorder, probe, processes, text
    trust: Trust
    text: str  # what was said, as it was said (cut to 600 characters)
    detail: Mapping[str, str] = field(default_factory=lambda: NO_DETAIL)
    rule: str = ""
    where: str = ""
    boot: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Psi:
    """Pressure of one resource (Documentation/accounting/psi.rst): averages and running totals."""

    some_avg10_pct: float
    some_total_s: float
    full_avg10_pct: float = 0.0
    full_total_s: float = 0.0


@dataclass(frozen=True, slots=True)
class DiskCounters:
    """Running totals of one block device (Documentation/admin-guide/iostats.rst)."""

    name: str
    read_bytes: int
    write_bytes: int
    reads: int
    writes: int
    busy_s: float
    queue_s: float


@dataclass(frozen=True, slots=True)
class CgroupCounters:
    """Running totals of one control group, and the pod or unit it belongs to."""

    owner: Subject
    cpu_s: float = 0.0
    throttled_s: float = 0.0
    read_bytes: int = 0
    write_bytes: int = 0
    memory_bytes: int = 0
    refaults: int = 0  # pages read back soon after they were evicted
    io_stalled_s: float = 0.0
    reads: int = 0
    writes: int = 0
    major_faults: int = 0  # pages that had to be read from a disk
    cpu_stalled_s: float = 0.0
    memory_stalled_s: float = 0.0
    container: str = ""  # id of the one container counted here; empty: the whole pod or unit


@dataclass(frozen=True, slots=True)
class Sample:
    """One second of the recorder."""

    at_s: float
    cpu: Psi | None = None
    io: Psi | None = None
    memory: Psi | None = None
    memory_available_bytes: int | None = None
    disks: tuple[DiskCounters, ...] = ()
    cgroups: Sequence[CgroupCounters] = ()  # one a pod or unit: owners are counted once
    containers: Sequence[CgroupCounters] = ()  # parts of ``cgroups``, never to be added to them
    memory_dirty_bytes: int | None = None
    memory_writeback_bytes: int | None = None
    major_faults: int | None = None  # running total of the node, as are the refaults
    refaults: int | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to the runtime: asked at ``at_s``, answered ``took_s`` later (or not)."""

    at_s: float
    question: str
    took_s: float
    answered: bool


@dataclass(frozen=True, slots=True)
class BlindSpot:
    """From-to in which a source could not see, and why."""

    source: str
    why: str
    from_s: float | None = None
    to_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pod:
    """What is known of one pod: enough to name it, its owner, and whether it came back."""

    namespace: str
    name: str
    uid: str = ""
    owner: str = ""  # "StatefulSet/pg"; a ReplicaSet's Deployment where the name shows it
    replicas_hint: int = 0
    node: str = ""
    ready: bool | None = None
    host_network: bool = False
    image_hint: str = ""


@dataclass(frozen=True, slots=True)
class Victim:
    """A pod that was hurt, and how we know."""

    namespace: str
    pod: str
    uid: str = ""
    owner: str = ""
    harm: str = ""  # "sandbox re-created", "OOM killed", "evicted"
    at_s: float | None = None


class KillerKind(StrEnum):
    """Who pulled the trigger."""

    HEALTH_MONITOR = "health_monitor"
    OOM_KILLER = "oom_killer"
    WATCHDOG = "watchdog"
    OPERATOR = "operator"
    EVICTION = "eviction"
    LIVENESS_PROBE = "liveness_probe"
    CRASH = "crash"
    POWER = "power"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Killer:
    """Who pulled the trigger, by name, and when."""

    kind: KillerKind
    name: str
    at_s: float | None


BACKUP_OF = "base backup of "  # and the pod or unit whose data is read


@dataclass(frozen=True, slots=True)
class Offender:
    """Whose load made it necessary, and by which method that was found."""

    kind: str  # pod, unit, process, package, node
    name: str
    namespace: str = ""
    method: str = ""

    @property
    def title(self) -> str:
        """Kind and name, as a sentence says them; a backup's name says itself what it is."""
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"the {name}" if self.is_backup else f"{self.kind} {name}"

    @property
    def is_backup(self) -> bool:
        """Whether it is a base backup, known by the server that reads for it."""
        return self.name.startswith(BACKUP_OF)


class Cause(StrEnum):
    """What made the kill, or the re-creation, necessary. Defined in docs/causes.md."""

    IO_SATURATION = "io_saturation"
    CPU_STARVATION = "cpu_starvation"
    MEMORY_PRESSURE = "memory_pressure"
    CONTAINER_OOM = "container_oom"
    DISK_FULL = "disk_full"
    DISK_ERROR = "disk_error"
    RUNTIME_HANG = "runtime_hang"
    RUNTIME_CRASH = "runtime_crash"
    PLANNED_RESTART = "planned_restart"
    NODE_REBOOT = "node_reboot"
    NODE_DRAIN = "node_drain"
    KUBELET_RESTART = "kubelet_restart"
    CNI_FAILURE = "cni_failure"
    CONFIG_MISMATCH = "config_mismatch"
    CLOCK_OR_CERT = "clock_or_cert"
    VOLUME_THROTTLED = "volume_throttled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason to believe (weight > 0) or to doubt (weight < 0) a hypothesis."""

    weight: float  # -1..1
    says: str  # one sentence for a person
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the causal chain, in order of time."""

    at_s: float | None
    what: str
    source: str


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One possible cause with all that speaks for and against it."""

    cause: Cause
    confidence: float  # 0..1
    evidence_for: tuple[Evidence, ...] = ()
    evidence_against: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    lost_because: str = ""  # empty for the winner


@dataclass(frozen=True, slots=True)
class Incident:
    """Facts that belong together, on one node."""

    id: str
    node: str
    opened_at_s: float | None
    closed_at_s: float | None
    facts: tuple[Fact, ...]
    boot: str = ""
    blind: tuple[BlindSpot, ...] = ()
    fault: str = ""  # what our own code raised over these Facts: nothing can be made of them


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an Incident means: the killer, the cause, the victims, and how sure we are."""

    incident: Incident
    cause: Cause
    confidence: float
    planned: bool
    killer: Killer | None
    offender: Offender | None
    victims: tuple[Victim, ...]
    chain: tuple[Link, ...]
    hypotheses: tuple[Hypothesis, ...]  # ranked, the winner first
    missing: tuple[str, ...]
    verdict: str  # one sentence
    advice: tuple[str, ...] = field(default=())
