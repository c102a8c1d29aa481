"""Alerts on the agent itself: absent, deaf, blind, or lied to."""

from __future__ import annotations

from alerts.rule import Alert, Board, Group, Severity
from alerts.thresholds import Thresholds

_NOT_READY = (
    'max by (cluster, node) (kube_node_status_condition{condition="Ready", status="true"} == 0)'
)


def group(limits: Thresholds) -> Group:
    """Return the alerts about the agent."""
    return Group(
        "knockon-agent",
        (
            _absent(limits),
            _unwatched(limits),
            _journal(limits),
            _recorder(limits),
            _spoof(limits),
        ),
    )


def _absent(limits: Thresholds) -> Alert:
    return Alert(
        name="AgentAbsent",
        expr=f"""
(
  max by (cluster, node) (kube_node_info{{os_image!~"(?i)windows.*"}})
  unless on (cluster, node) max by (cluster, node) (knockon_build_info)
  or max by (cluster, node) (up{{job=~"{limits.agent_job}", job!~".*backup.*"}} == 0)
)
unless on (cluster, node) {_NOT_READY}
or
(absent(knockon_build_info) unless on () kube_node_info)
""",
        hold=limits.agent_absent_for,
        severity=Severity.WARNING,
        summary="No agent answers on {{ or $labels.node `any node` }}",
        description="""Victim: whoever asks why pods of {{ or $labels.node `any node` }} were
            re-created gets no answer. Offender: most often a missing toleration, a failing image
            pull or a scrape that lost its target.""",
        board=Board.NODES,
    )


def _unwatched(limits: Thresholds) -> Alert:
    """Where kube-state-metrics is, AgentAbsent names the nodes; this one counts them without."""
    return Alert(
        name="NodesWithoutAgent",
        expr="""
max by (cluster) (knockon_fleet_nodes_without_agent) > 0
unless on (cluster) max by (cluster) (kube_node_info)
""",
        hold=limits.unwatched_for,
        keep=limits.unwatched_keeps,
        severity=Severity.WARNING,
        summary="{{ $value }} {{ if eq $value 1.0 }}node{{ else }}nodes{{ end }}"
        "{{ with $labels.cluster }} of {{ . }}{{ end }} have no agent",
        description="""Victim: whoever asks why pods of these nodes were re-created gets no answer.
            Offender: most often a missing toleration or a failing image pull.
            `knockon incidents` names the nodes.""",
        board=Board.NODES,
    )


def _journal(limits: Thresholds) -> Alert:
    return Alert(
        name="JournalUnreadable",
        expr="""
max by (cluster, node) (
  knockon_journal_unreadable_files > 0
  or knockon_source_up{source="journal"} == 0
)
""",
        hold=limits.journal_unreadable_for,
        severity=Severity.WARNING,
        summary="The agent on {{ $labels.node }} cannot read the journal",
        description="""Victim: every explanation of {{ $labels.node }}, since the killer's own words
            are missing. Offender: most often a host that compresses or hashes its journal in a way
            which the image's libsystemd does not know, or a missing mount.""",
        board=Board.NODES,
    )


def _recorder(limits: Thresholds) -> Alert:
    window = limits.recorder_blind_window
    return Alert(
        name="RecorderBlind",
        expr=f"""
max by (cluster, node) (
  time() - (knockon_recorder_last_sample_timestamp_seconds > 0) > {limits.recorder_silent_s:g}
  or knockon_source_up{{source="recorder"}} == 0
  or rate(knockon_blind_seconds_total{{source="recorder"}}[{window}])
    > {limits.recorder_blind_ratio:g}
)
""",
        hold=limits.recorder_blind_for,
        severity=Severity.WARNING,
        summary="The flight recorder of {{ $labels.node }} does not see",
        description="""Victim: the minutes before the next kill on {{ $labels.node }} will be
            missing, and its cause may stay unknown. Offender: most often a full or missing
            /run/knockon, a kernel without PSI, or an agent short of CPU.""",
        board=Board.NODES,
    )


def _spoof(limits: Thresholds) -> Alert:
    return Alert(
        name="SpoofAttempts",
        expr=f"""
sum by (cluster, node) (
  increase(knockon_journal_entries_total{{result="spoofed"}}[{limits.spoofed_window}])
) > {limits.spoofed_lines:g}
""",
        hold="0s",
        severity=Severity.INFO,
        summary="Somebody on {{ $labels.node }} writes lines that only the node may say",
        description="""Victim: nobody; the lines were refused and counted. Offender: a container or
            a user of {{ $labels.node }} that prints, or repeats, what a health monitor or the
            kernel would say: about {{ $value | humanize }} lines.""",
        board=Board.NODES,
    )
