"""The panels of "Node incidents": the incidents, the minutes before, and the agent itself."""

from __future__ import annotations

from alerts.panels import BYTES, COUNT, PER_SECOND, RATE, SECONDS, SHARE, Panel, Query, Row

NODE = 'cluster=~"$cluster", node=~"$node"'


def rows() -> tuple[Row, ...]:
    """Return the rows from top to bottom."""
    return (_incidents(), _before_the_kill(), _the_agent())


def _incidents() -> Row:
    return Row(
        "Incidents",
        (
            Panel(
                "Open incidents",
                "Incidents that are going on now.",
                COUNT,
                (Query(f"sum(knockon_open_incidents{{{NODE}}})"),),
                kind="stat",
                width=4,
            ),
            Panel(
                "Since the last incident",
                "The shortest time since an incident on the chosen nodes.",
                SECONDS,
                (Query(f"time() - max(knockon_last_incident_timestamp_seconds{{{NODE}}} > 0)"),),
                kind="stat",
                width=4,
            ),
            Panel(
                "Open and recent incidents",
                "One line each, for 15 minutes after its end: killer, cause and offender.",
                COUNT,
                (
                    Query(
                        "max by (node, incident, cause, killer_name, offender_kind, "
                        f"offender_namespace, offender_name) (knockon_open_incident_info{{{NODE}}})"
                    ),
                ),
                kind="table",
                width=16,
            ),
            Panel(
                "Incidents by cause",
                "Settled incidents by what made them necessary; planned work is not counted.",
                COUNT,
                (
                    Query(
                        "sum by (cause) (increase(knockon_incidents_total"
                        f'{{{NODE}, planned="false"}}[{RATE}])) > 0',
                        "{{cause}}",
                    ),
                ),
            ),
            Panel(
                "Pods hurt",
                "Pods that an incident re-created, by node.",
                COUNT,
                (
                    Query(
                        "sum by (node) "
                        f"(increase(knockon_incident_victims_total{{{NODE}}}[{RATE}]))",
                        "{{node}}",
                    ),
                ),
            ),
        ),
    )


def _pressure(how: str, resource: str) -> str:
    return f'rate(knockon_pressure_{how}_seconds_total{{{NODE}, resource=~"{resource}"}}[{RATE}])'


def _before_the_kill() -> Row:
    return Row(
        "Before the kill",
        (
            Panel(
                "Answer of the container runtime",
                "What a health monitor would see: it kills at 60 s. Dots below are calm.",
                SECONDS,
                (
                    Query(
                        f"max by (node, runtime) (knockon_runtime_probe_last_seconds{{{NODE}}})",
                        "last, {{node}} {{runtime}}",
                    ),
                    Query(
                        "histogram_quantile(0.99, sum by (node, runtime, le) "
                        f"(rate(knockon_runtime_probe_duration_seconds_bucket{{{NODE}}}[{RATE}])))",
                        "p99, {{node}} {{runtime}}",
                    ),
                ),
            ),
            Panel(
                "Questions without an answer",
                "How often the runtime did not answer at all, per second.",
                PER_SECOND,
                (
                    Query(
                        "sum by (node, runtime) "
                        f"(rate(knockon_runtime_probe_unanswered_total{{{NODE}}}[{RATE}]))",
                        "{{node}} {{runtime}}",
                    ),
                ),
            ),
            Panel(
                "Stalled for I/O or memory",
                "Share of the time in which nothing at all could run (PSI full).",
                SHARE,
                (
                    Query(
                        f"max by (node, resource) ({_pressure('stalled', 'io|memory')})",
                        "{{node}} {{resource}}",
                    ),
                ),
            ),
            Panel(
                "Waiting",
                "Share of the time in which something could not run (PSI some).",
                SHARE,
                (
                    Query(
                        f"max by (node, resource) ({_pressure('waiting', '.+')})",
                        "{{node}} {{resource}}",
                    ),
                ),
            ),
        ),
    )


def _the_agent() -> Row:
    def each(title: str, says: str, unit: str, expr: str, legend: str) -> Panel:
        return Panel(title, says, unit, (Query(expr, legend),), width=8)

    return Row(
        "The agent",
        (
            each(
                "Sources that are healthy",
                "1 when the agent can see this source.",
                COUNT,
                f"min by (source) (knockon_source_up{{{NODE}}})",
                "{{source}}",
            ),
            each(
                "Blind",
                "Share of the time in which a source could not see.",
                SHARE,
                f"max by (node, source) (rate(knockon_blind_seconds_total{{{NODE}}}[{RATE}]))",
                "{{node}} {{source}}",
            ),
            each(
                "Age of the last sample",
                "The recorder samples every second.",
                SECONDS,
                "time() - max by (node) (knockon_recorder_last_sample_timestamp_seconds"
                f"{{{NODE}}})",
                "{{node}}",
            ),
            each(
                "Journal lag",
                "How far the agent is behind the journal.",
                SECONDS,
                f"max by (node) (knockon_journal_lag_seconds{{{NODE}}})",
                "{{node}}",
            ),
            each(
                "Journal entries",
                "Read from the journal, by what became of them; spoofed ones were refused.",
                PER_SECOND,
                f"sum by (result) (rate(knockon_journal_entries_total{{{NODE}}}[{RATE}]))",
                "{{result}}",
            ),
            each(
                "Facts dropped",
                "Facts that did not fit into the bounded inbox.",
                PER_SECOND,
                f"sum by (source) (rate(knockon_facts_dropped_total{{{NODE}}}[{RATE}]))",
                "{{source}}",
            ),
            each(
                "Requests to the API server",
                "By verb and resource; idle is below 0.1 a second and node.",
                "reqps",
                "sum by (verb, resource, code) "
                f"(rate(knockon_kube_requests_total{{{NODE}}}[{RATE}]))",
                "{{verb}} {{resource}} {{code}}",
            ),
            each(
                "Events published",
                "Explanations written to pods and nodes.",
                PER_SECOND,
                f"sum by (result) (rate(knockon_events_published_total{{{NODE}}}[{RATE}]))",
                "{{result}}",
            ),
            each(
                "Recorder",
                "Size of the ring in memory.",
                BYTES,
                f"max by (node) (knockon_recorder_bytes{{{NODE}}})",
                "{{node}}",
            ),
        ),
    )
