"""Alerts on pressure (PSI), whoever measured it: the agent, node_exporter or the kubelet.

``full`` of io and memory (stalled: nothing could run) and ``some`` of cpu (waiting: something
could not), since the kernel defines no ``full`` of cpu for a whole node.
"""

from __future__ import annotations

from alerts.rule import Alert, Board, Group, Record, Severity
from alerts.thresholds import Thresholds

STALLED = "node:pressure_stalled:rate"
WAITING = "node:pressure_waiting:rate"
IDLE = "node:cpu_idle:ratio"


def group(limits: Thresholds) -> Group:
    """Return the recordings that join three sources, and the alerts on them."""
    window = limits.pressure_window
    return Group(
        "knockon-pressure",
        (
            _joined(STALLED, "io", "stalled", window),
            _joined(STALLED, "memory", "stalled", window),
            _joined(WAITING, "cpu", "waiting", window),
            _idle(window),
            _alert("NodeIOStalled", "I/O", _stalled("io", limits.io_stalled_ratio), limits),
            _alert(
                "NodeMemoryStalled",
                "memory",
                _stalled("memory", limits.memory_stalled_ratio),
                limits,
            ),
            _starved(limits),
        ),
    )


def _joined(name: str, resource: str, how: str, window: str) -> Record:
    ours = f'rate(knockon_pressure_{how}_seconds_total{{resource="{resource}"}}[{window}])'
    exporter = f"node_pressure_{resource}_{how}_seconds_total"
    kubelet = f"container_pressure_{resource}_{how}_seconds_total"
    expr = f"""
max by (cluster, node) (
  {ours}
  or {named(exporter, "", window)}
  or {named(kubelet, 'id="/", ', window)}
)
"""
    return Record(name, expr, {"resource": resource})


def named(metric: str, matchers: str, window: str) -> str:
    """Return a rate with a node: from ``instance`` where the scrape gave no label ``node``."""
    return f"""rate({metric}{{{matchers}node!=""}}[{window}])
  or label_replace(
    rate({metric}{{{matchers}node=""}}[{window}]),
    "node", "$1", "instance", "(.+?)(?::[0-9]+)?"
  )"""


def _idle(window: str) -> Record:
    return Record(
        IDLE,
        f"""
avg by (cluster, node) (
  {named("node_cpu_seconds_total", 'mode="idle", ', window)}
)
""",
    )


def _stalled(resource: str, ratio: float) -> str:
    return f'{STALLED}{{resource="{resource}"}} > {ratio:g}'


def _alert(name: str, what: str, expr: str, limits: Thresholds) -> Alert:
    return Alert(
        name=name,
        expr=expr,
        hold=limits.pressure_holds,
        keep=limits.pressure_keeps,
        severity=Severity.WARNING,
        summary=f"Everything on {{{{ $labels.node }}}} waits for {what} "
        "{{ $value | humanizePercentage }} of the time",
        description="""Victim: every pod of {{ $labels.node }}, and its container runtime,
            which is killed if it waits too long. Offender: not named yet;
            `knockon record show` on the node lists who uses the most.""",
        board=Board.NODES,
    )


def _starved(limits: Thresholds) -> Alert:
    return Alert(
        name="NodeCPUStarved",
        expr=f"""
{WAITING}{{resource="cpu"}} > {limits.cpu_waiting_ratio:g}
unless on (cluster, node) {IDLE} > {limits.cpu_idle_ratio:g}
""",
        hold=limits.cpu_holds,
        keep=limits.pressure_keeps,
        severity=Severity.WARNING,
        summary="On {{ $labels.node }} something waits for a processor "
        "{{ $value | humanizePercentage }} of the time",
        description="""Victim: every pod of {{ $labels.node }}, and its container runtime, which
            is killed if it waits too long. Offender: not named yet;
            `knockon record show` on the node lists who uses the most.""",
        board=Board.NODES,
    )
