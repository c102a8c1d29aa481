"""Settings of the agent: one frozen dataclass a section; every default and range stands here.

``daemonset/config.toml`` shows all of them with their defaults; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T", str, int, float, bool)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value may be: a range for numbers, a choice for words."""

    least: float | None = None
    most: float | None = None
    choice: tuple[str, ...] = ()


def _is(
    default: T, least: float | None = None, most: float | None = None, choice: tuple[str, ...] = ()
) -> T:
    made: T = field(default=default, metadata={"rule": Rule(least, most, choice)})
    return made


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Which node this is, and where its file system lies."""

    name: str = _is("")  # empty: NODE_NAME of the environment, else the host's name
    root: str = _is("/")


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Which journal is read, and by which rules."""

    directory: str = _is("")  # empty: var/log/journal and run/log/journal below the root
    rules: str = _is("")  # a folder with rules of your own


@dataclass(frozen=True, slots=True)
class KubeSettings:
    """How to reach the API server, and what to ask of it."""

    access: str = _is("in-cluster", choice=("in-cluster", "kubeconfig", "off"))
    kubeconfig: str = _is("")
    context: str = _is("")
    events: str = _is("auto", choice=("auto", "watch", "on-demand", "off"))
    publish: bool = _is(default=True)


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """The flight recorder."""

    enabled: bool = _is(default=True)
    ring: str = _is("")  # empty: run/knockon/recorder.ring below the root
    ring_mib: int = _is(8, 1, 256)
    lock_memory: bool = _is(default=True)


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """The processes that move most, by their own counters; needs the node's ``/proc``."""

    enabled: bool = _is(default=False)
    top: int = _is(5, 1, 20)
    every_s: float = _is(5.0, 1.0, 60.0)


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """The runtime probe; both sockets empty: nobody is asked."""

    docker: str = _is("")
    cri: str = _is("")
    mean_gap_s: float = _is(10.0, 1.0, 600.0)
    killer_timeout_s: float = _is(60.0, 1.0, 3600.0)


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """When an incident is told, and how many are kept."""

    settle_s: float = _is(120.0, 1.0, 3600.0)
    ripe_s: float = _is(2.0, 0.0, 60.0)
    patience_s: float = _is(30.0, 1.0, 600.0)
    keep: int = _is(200, 1, 10_000)
    keep_mib: int = _is(16, 1, 1024)


@dataclass(frozen=True, slots=True)
class StateSettings:
    """Where the agent remembers what it has read and said."""

    directory: str = _is("/var/lib/knockon")
    fsync: bool = _is(default=False)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The one port; empty: none."""

    listen: str = _is("0.0.0.0:9479")
    tls_certificate: str = _is("")
    tls_key: str = _is("")
    client_authority: str = _is("")


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """The one replica of a cluster (``knockon agent --cluster``)."""

    namespace: str = _is("")  # of the Lease and the agents; empty: the pod's own
    lease: str = _is("knockon-cluster")
    lease_s: float = _is(15.0, 1.0, 600.0)
    agents: str = _is("app.kubernetes.io/name=knockon,app.kubernetes.io/component=agent")
    nodes: str = _is("")  # the agents' node selector
    absent_after_s: float = _is(300.0, 0.0, 86_400.0)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the agent's own log looks."""

    form: str = _is("auto", choice=("auto", "json", "text"))


@dataclass(frozen=True, slots=True)
class Config:
    """All settings of one agent."""

    node: NodeSettings = NodeSettings()
    journal: JournalSettings = JournalSettings()
    kube: KubeSettings = KubeSettings()
    recorder: RecorderSettings = RecorderSettings()
    processes: ProcessSettings = ProcessSettings()
    probe: ProbeSettings = ProbeSettings()
    incidents: IncidentSettings = IncidentSettings()
    state: StateSettings = StateSettings()
    http: HttpSettings = HttpSettings()
    cluster: ClusterSettings = ClusterSettings()
    log: LogSettings = LogSettings()


SECTIONS: dict[str, Any] = {one.name: one.default for one in fields(Config)}
