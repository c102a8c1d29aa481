"""The panels of "Postgres backups": fresh and proven, the run itself, and who waited."""

from __future__ import annotations

from alerts.panels import BYTES, BYTES_PER_SECOND, COUNT, SECONDS, Panel, Query, Row

_JOB = 'cluster=~"$cluster", job=~"$job"'


def rows() -> tuple[Row, ...]:
    """Return the rows from top to bottom."""
    return (_freshness(), _running(), _who_waited())


def _stat(title: str, says: str, metric: str) -> Panel:
    expr = f"time() - max by (job) (knockon_backup_{metric}_timestamp_seconds{{{_JOB}}} > 0)"
    return Panel(title, says, SECONDS, (Query(expr, "{{job}}"),), kind="stat", width=6, height=5)


def _freshness() -> Row:
    return Row(
        "Fresh and proven",
        (
            _stat("Age of the last good backup", "What is lost if the disk fails.", "last_success"),
            _stat("Since the last run", "Whether the schedule runs at all.", "last_run"),
            _stat("Since the last verification", "A backup was read again whole.", "verify"),
            _stat("Since the last restore test", "A server answered from it.", "restore_test"),
            Panel(
                "How the last run ended",
                "1 for the way it ended; anything but done is no new backup.",
                COUNT,
                (
                    Query(
                        f"max by (job, reason) (knockon_backup_last_run_exit{{{_JOB}}} == 1)",
                        "{{job}}: {{reason}}",
                    ),
                ),
                kind="state-timeline",
            ),
            Panel(
                "Found good",
                "1 when the last verification or restore test was good.",
                COUNT,
                (
                    _each_job("verify_good", "verified"),
                    _each_job("restore_test_good", "restored"),
                ),
                kind="state-timeline",
            ),
        ),
    )


def _each_job(metric: str, what: str) -> Query:
    return Query(f"max by (job) (knockon_backup_{metric}{{{_JOB}}})", f"{what}, {{{{job}}}}")


def _running() -> Row:
    return Row(
        "The run",
        (
            Panel(
                "Progress",
                "Bytes read of the bytes expected, WAL beside it, and what the store keeps.",
                BYTES,
                (
                    _each_job("expected_bytes", "expected"),
                    _each_job("read_bytes", "read"),
                    _each_job("wal_bytes", "WAL"),
                    _each_job("stored_bytes", "stored"),
                ),
            ),
            Panel(
                "Rate",
                "What it achieves, what the governor allows, and the server's own brake.",
                BYTES_PER_SECOND,
                (
                    _each_job("achieved_bytes_per_second", "achieved"),
                    _each_job("allowed_bytes_per_second", "allowed"),
                    _each_job("max_rate_bytes_per_second", "MAX_RATE"),
                ),
            ),
            Panel(
                "Duration, and time left to the deadline",
                "Left below zero is too late.",
                SECONDS,
                (
                    _each_job("duration_seconds", "duration"),
                    Query(
                        "max by (job) (knockon_backup_deadline_timestamp_seconds"
                        f"{{{_JOB}}}) - time()",
                        "left, {{job}}",
                    ),
                ),
            ),
            Panel(
                "Requests to the store made again",
                "Many of them: the store or the way to it is in trouble.",
                COUNT,
                (_each_job("store_retries", "retries"),),
            ),
        ),
    )


def _who_waited() -> Row:
    return Row(
        "Who waited",
        (
            Panel(
                "Others waited",
                "Seconds of the run in which others waited while the backup read.",
                SECONDS,
                (_each_job("harm_seconds", "harm"),),
            ),
            Panel(
                "The backup waited",
                "Seconds for which the governor held reading back, by its reason.",
                SECONDS,
                (
                    Query(
                        f"max by (job, reason) (knockon_backup_throttled_seconds{{{_JOB}}})",
                        "{{reason}}, {{job}}",
                    ),
                ),
            ),
        ),
    )
