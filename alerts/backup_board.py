"""The panels of "Postgres backups": fresh and proven, the run itself, and who waited."""

from __future__ import annotations

from alerts.panels import BYTES, BYTES_PER_SECOND, COUNT, SECONDS, Panel, Query, Row

_WHICH = 'cluster=~"$cluster", database=~"$database"'


def rows() -> tuple[Row, ...]:
    """Return the rows from top to bottom."""
    return (_freshness(), _running(), _who_waited())


def _stat(title: str, says: str, metric: str) -> Panel:
    expr = f"time() - max by (database) (knockon_backup_{metric}_timestamp_seconds{{{_WHICH}}} > 0)"
    return Panel(
        title, says, SECONDS, (Query(expr, "{{database}}"),), kind="stat", width=6, height=5
    )


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
                        "max by (database, reason) "
                        f"(knockon_backup_last_run_exit{{{_WHICH}}} == 1)",
                        "{{database}}: {{reason}}",
                    ),
                ),
                kind="state-timeline",
            ),
            Panel(
                "Found good",
                "1 when the last verification or restore test was good.",
                COUNT,
                (
                    _each("verify_good", "verified"),
                    _each("restore_test_good", "restored"),
                ),
                kind="state-timeline",
            ),
        ),
    )


def _each(metric: str, what: str) -> Query:
    return Query(
        f"max by (database) (knockon_backup_{metric}{{{_WHICH}}})", f"{what}, {{{{database}}}}"
    )


def _running() -> Row:
    return Row(
        "The run",
        (
            Panel(
                "Progress",
                "Bytes read of the bytes expected, WAL beside it, and what the store keeps.",
                BYTES,
                (
                    _each("expected_bytes", "expected"),
                    _each("read_bytes", "read"),
                    _each("wal_bytes", "WAL"),
                    _each("stored_bytes", "stored"),
                ),
            ),
            Panel(
                "Rate",
                "What it achieves, what the governor allows, and the server's own brake.",
                BYTES_PER_SECOND,
                (
                    _each("achieved_bytes_per_second", "achieved"),
                    _each("allowed_bytes_per_second", "allowed"),
                    _each("max_rate_bytes_per_second", "MAX_RATE"),
                ),
            ),
            Panel(
                "Duration, and time left to the deadline",
                "Left below zero is too late.",
                SECONDS,
                (
                    _each("duration_seconds", "duration"),
                    Query(
                        "max by (database) (knockon_backup_deadline_timestamp_seconds"
                        f"{{{_WHICH}}}) - time()",
                        "left, {{database}}",
                    ),
                ),
            ),
            Panel(
                "Requests to the store made again",
                "Many of them: the store or the way to it is in trouble.",
                COUNT,
                (_each("store_retries", "retries"),),
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
                (_each("harm_seconds", "harm"),),
            ),
            Panel(
                "The backup waited",
                "Seconds for which the governor held reading back, by its reason.",
                SECONDS,
                (
                    Query(
                        f"max by (database, reason) (knockon_backup_throttled_seconds{{{_WHICH}}})",
                        "{{reason}}, {{database}}",
                    ),
                ),
            ),
        ),
    )
