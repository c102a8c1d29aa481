"""Alerts on what the agent saw: runtimes killed, about to be, and many nodes at once."""

from __future__ import annotations

from alerts.rule import Alert, Board, Group, Severity
from alerts.thresholds import Thresholds

NOT_PLANNED = 'planned!="true", cause!~"planned_restart|node_drain", killer!="operator"'
"""Planned work pages nobody; the words are agent.model's Cause and KillerKind."""
_PLANNED_NODES = """max by (cluster, node) (
    knockon_open_incident_info{planned="true"}
    or knockon_open_incident_info{cause=~"planned_restart|node_drain"}
    or knockon_open_incident_info{killer="operator"}
  )"""
_TOLD = (
    "cluster, node, incident, cause, killer, killer_name, "
    "offender_kind, offender_namespace, offender_name"
)
_RUNTIME_ENDED = f"""knockon_open_incident_info{{
      {NOT_PLANNED}, killer=~"health_monitor|watchdog", cause!~"node_reboot|kubelet_restart"
    }}
    or knockon_open_incident_info{{{NOT_PLANNED}, cause="runtime_crash"}}"""
_WENT_DOWN = f"""knockon_open_incident_info{{{NOT_PLANNED}, cause="node_reboot"}}
    and on (cluster, node, incident)
    knockon_open_incident_victim{{victim_owner_kind!~"DaemonSet|Node"}}"""
"""Nobody ordered it, and it took pods along that are no part of the node itself: an emptied node
that is switched off has only those. One node cannot see whether others of an owner carried on."""

_CAUSE = '{{ $labels.cause | reReplaceAll "_" " " }}'
_KILLER = (
    '{{ $kind := $labels.killer | reReplaceAll "_" " " }}'
    "{{ if $labels.killer_name }}{{ $labels.killer_name }} ({{ $kind }})"
    "{{ else if eq $kind `none` }}nobody that is known{{ else }}an unnamed {{ $kind }}{{ end }}"
)
_OFFENDER = (
    "{{ if $labels.offender_name }}{{ $labels.offender_kind }} "
    "{{ with $labels.offender_namespace }}{{ . }}/{{ end }}{{ $labels.offender_name }}"
    "{{ else }}not known{{ end }}"
)
_VICTIMS = (
    '{{ with query (printf "knockon_open_incident_victim{incident=%q}" $labels.incident)'
    ' | sortByLabel "victim_pod" }}'
    "{{ len . }} {{ if eq (len .) 1 }}pod{{ else }}pods{{ end }}: "
    "{{ range $at, $one := . }}{{ if lt $at 5 }}{{ if $at }}, {{ end }}"
    "{{ $one.Labels.victim_namespace }}/{{ $one.Labels.victim_pod }}{{ end }}{{ end }}"
    "{{ if gt (len .) 5 }} and others{{ end }}{{ else }}no pod that is known{{ end }}"
)


def group(limits: Thresholds) -> Group:
    """Return the alerts about incidents."""
    return Group(
        "knockon-incidents",
        (
            _runtime_killed(limits),
            _node_went_down(limits),
            _node_incident(limits),
            _runtime_slow(limits),
            _cause_unknown(limits),
            _flapping(limits),
            _fleet(limits),
            _pod_recreated(),
        ),
    )


def _runtime_killed(limits: Thresholds) -> Alert:
    return Alert(
        name="ContainerRuntimeKilled",
        expr=f"""
  max by ({_TOLD}) (
    {_RUNTIME_ENDED}
  ) == 1
""",
        hold=limits.incident_settles,
        severity=Severity.CRITICAL,
        summary=f"Container runtime of {{{{ $labels.node }}}} was ended by {_KILLER}",
        description=f"Cause: {_CAUSE}. Offender: {_OFFENDER}. Hurt: {_VICTIMS}. "
        "Incident {{ $labels.incident }}.",
        board=Board.NODES,
    )


def _node_went_down(limits: Thresholds) -> Alert:
    return Alert(
        name="NodeWentDown",
        expr=f"""
  max by ({_TOLD}) (
    {_WENT_DOWN}
  ) == 1
""",
        hold=limits.incident_settles,
        severity=Severity.CRITICAL,
        summary="Node {{ $labels.node }} went down, and nobody had ordered it",
        description=f"By: {_KILLER}. Offender: {_OFFENDER}. Hurt: {_VICTIMS}. "
        "Incident {{ $labels.incident }}.",
        board=Board.NODES,
    )


def _node_incident(limits: Thresholds) -> Alert:
    return Alert(
        name="NodeIncident",
        expr=f"""
  max by ({_TOLD}) (
    knockon_open_incident_info{{{NOT_PLANNED}, cause!~"container_oom|unknown"}}
    unless
    ({_RUNTIME_ENDED})
    unless
    ({_WENT_DOWN})
  ) == 1
""",
        hold=limits.incident_settles,
        severity=Severity.WARNING,
        summary=f"Node {{{{ $labels.node }}}} had an incident: {_CAUSE}",
        description=f"Killer: {_KILLER}. Offender: {_OFFENDER}. Hurt: {_VICTIMS}. "
        "Incident {{ $labels.incident }}.",
        board=Board.NODES,
    )


def _runtime_slow(limits: Thresholds) -> Alert:
    slow = f"knockon_runtime_probe_last_seconds > {limits.slow_probe_s:g}"
    return Alert(
        name="ContainerRuntimeSlow",
        expr=f"""
max by (cluster, node, runtime) (
  count_over_time(({slow})[{limits.slow_window}:{limits.slow_step}]) >= {limits.slow_looks}
  or increase(knockon_runtime_probe_unanswered_total[{limits.slow_window}])
    > {limits.unanswered_probes:g}
)
unless on (cluster, node)
  {_PLANNED_NODES}
""",
        hold="0s",  # the window is the patience: whoever waits longer is told after the kill
        severity=Severity.WARNING,
        summary="{{ $labels.runtime }} on {{ $labels.node }} answers late: a kill may be near",
        description="""Victim: every pod of {{ $labels.node }}. Offender: not named yet;
            `knockon record show` on the node lists who uses the most. The usual health monitor
            kills a runtime that does not answer for 60 s.""",
        board=Board.NODES,
    )


def _cause_unknown(limits: Thresholds) -> Alert:
    return Alert(
        name="IncidentCauseUnknown",
        expr=f"""
max by (cluster, node, incident, killer, killer_name) (
  knockon_open_incident_info{{{NOT_PLANNED}, cause="unknown"}}
) == 1
""",
        hold=limits.unknown_settles,
        severity=Severity.INFO,
        summary="Incident {{ $labels.incident }} on {{ $labels.node }} has no known cause",
        description=f"Killer: {_KILLER}. Offender: not known. Hurt: {_VICTIMS}. "
        "The report says what was missing.",
        board=Board.NODES,
    )


def _flapping(limits: Thresholds) -> Alert:
    return Alert(
        name="NodeIncidentsFlapping",
        expr=f"""
count by (cluster, node) (
  count by (cluster, node, incident) (
    count_over_time(
      knockon_open_incident_info{{{NOT_PLANNED}, cause!="container_oom"}}[{limits.flapping_window}]
    )
  )
) >= {limits.flapping_incidents}
""",
        hold=limits.incident_settles,
        severity=Severity.WARNING,
        summary="{{ $labels.node }} had {{ $value }} incidents in "
        f"{limits.flapping_window}: it does not recover by itself",
        description="""Victims: all pods of {{ $labels.node }}, again and again. Offenders so far:
            {{ with query (printf "count by (offender_namespace, offender_name)
            (last_over_time(knockon_open_incident_info{node=%q,offender_name!=''}["""
        + limits.flapping_window
        + """]))" $labels.node) | sortByLabel "offender_name" }}
            {{- range $at, $one := . }}{{ if $at }}, {{ end }}
            {{- with $one.Labels.offender_namespace }}{{ . }}/{{ end }}
            {{- $one.Labels.offender_name }}{{ end }}{{ else }}not known{{ end }}.
            Cordon it.""",
        board=Board.NODES,
    )


def _fleet(limits: Thresholds) -> Alert:
    hurt = f"""count by (cluster) (
  max by (cluster, node) (
    knockon_open_incident_info{{{NOT_PLANNED}, cause!="container_oom"}}
  )
)"""
    per_cause = (
        "topk(1, count by (cause) (max by (node, cause) (knockon_open_incident_info"
        "{cluster=%q,planned!='true',cause!~'planned_restart|node_drain|container_oom'})))"
    )
    return Alert(
        name="FleetIncident",
        expr=f"""
{hurt} >= {limits.fleet_nodes}
and
{hurt} >=
  {limits.fleet_ratio:g} * count by (cluster) (max by (cluster, node) (knockon_build_info))
""",
        hold=limits.incident_settles,
        severity=Severity.CRITICAL,
        summary="{{ $value }} nodes{{ with $labels.cluster }} of {{ . }}{{ end }} have incidents "
        "at the same time",
        description="Victims: pods of all these nodes. Offender: something they share, such as "
        "storage, an upgrade or an image. Most frequent cause: "
        f'{{{{ with query (printf "{per_cause}" $labels.cluster) }}}}'
        '{{ (. | first).Labels.cause | reReplaceAll "_" " " }}{{ else }}not known{{ end }}. '
        "The alerts of the single nodes are held back.",
        board=Board.NODES,
    )


def _pod_recreated() -> Alert:
    return Alert(
        name="PodRecreatedByIncident",
        expr="""
max by (cluster, node, namespace, pod, incident) (
  label_replace(
    label_replace(
      knockon_open_incident_victim, "namespace", "$1", "victim_namespace", "(.*)"
    ), "pod", "$1", "victim_pod", "(.*)"
  )
) == 1
""",
        hold="0s",
        severity=Severity.NONE,
        summary="{{ $labels.namespace }}/{{ $labels.pod }} was re-created by incident "
        "{{ $labels.incident }} of {{ $labels.node }}",
        description="""Victim: {{ $labels.namespace }}/{{ $labels.pod }}. Offender: see the alert of
            {{ $labels.node }}. This one tells nobody: it holds back this pod's own noise.""",
        board=Board.NODES,
    )
