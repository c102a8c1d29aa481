"""Alerts on base backups: none, none that is fresh, none that is proven, and ones that hurt."""

from __future__ import annotations

from alerts.rule import Alert, Board, Group, Severity
from alerts.thresholds import Thresholds

_WHICH = "cluster, database"
_ONE_RUN = "cluster, database, namespace, job, instance"
_NO_FAULT = "done|nothing_to_do|locked"
_NAME = "{{ $labels.database }}"
_OF_IT = "{cluster=%q,database=%q}"
_LAST_RUN = (
    '{{ with query (printf "topk(1, (knockon_backup_last_run_exit'
    f"{_OF_IT} == 1) * on ({_ONE_RUN}) group_left () "
    f'knockon_backup_last_run_timestamp_seconds{_OF_IT})" '
    "$labels.cluster $labels.database $labels.cluster $labels.database) }}"
    "{{ $reason := (. | first).Labels.reason }}"
    "{{ if eq $reason `done` }}the schedule: the last run was good, and none came after it"
    '{{ else }}the last run, which ended with "{{ $reason | reReplaceAll "_" " " }}"{{ end }}'
    "{{ else }}not known: no run says how it ended{{ end }}"
)


def group(limits: Thresholds) -> Group:
    """Return the alerts about backups."""
    return Group(
        "knockon-backup",
        (
            _stale(limits),
            _missing(limits),
            _failed(limits),
            _bad(limits),
            _slow(limits),
            _late(limits),
            _harmful(limits),
            _never_verified(limits),
            _restore_test_old(limits),
        ),
    )


def latest(metric: str, limits: Thresholds) -> str:
    """Return the newest value any node or gateway has told: the pod that ran may be gone."""
    return f"max by ({_WHICH}) (max_over_time({metric}[{limits.backup_memory}]))"


def _stale(limits: Thresholds) -> Alert:
    success = latest("knockon_backup_last_success_timestamp_seconds", limits)
    return Alert(
        name="PostgresBackupStale",
        expr=f"time() - ({success} > 0)\n  > {limits.backup_stale_s}",
        hold=limits.backup_settles,
        severity=Severity.CRITICAL,
        summary=f"Last good backup of {_NAME} is {{{{ $value | humanizeDuration }}}} old",
        description=f"""Victim: the database {_NAME}: if its disk fails now, everything since
            then is lost. Offender: {_LAST_RUN}.""",
        board=Board.BACKUPS,
    )


def _missing(limits: Thresholds) -> Alert:
    ran = latest("knockon_backup_last_run_timestamp_seconds", limits)
    success = latest("knockon_backup_last_success_timestamp_seconds", limits)
    return Alert(
        name="PostgresBackupMissing",
        expr=f"""
{ran}
  unless {success} > 0
or (
  absent(knockon_backup_last_success_timestamp_seconds)
  unless on () knockon_backup_last_run_timestamp_seconds
)
""",
        hold=limits.backup_missing_for,
        severity=Severity.CRITICAL,
        summary="There is no good backup of {{ or $labels.database `any database` }} on record",
        description="""Victim: {{ or $labels.database `every database` }}: nothing is known to be
            restorable. Offender: a CronJob that never ran or never succeeded, or metrics that reach
            neither a textfile directory nor a Pushgateway.""",
        board=Board.BACKUPS,
    )


def _failed(limits: Thresholds) -> Alert:
    return Alert(
        name="PostgresBackupFailed",
        expr=f"""
max by ({_WHICH}, reason) (
  knockon_backup_last_run_exit{{reason!~"{_NO_FAULT}"}} == 1
  unless on ({_ONE_RUN}) (
    knockon_backup_last_run_timestamp_seconds
      <= on ({_WHICH}) group_left ()
    {latest("knockon_backup_last_success_timestamp_seconds", limits)}
  )
)
""",
        hold="0s",
        severity=Severity.WARNING,
        summary=f"Last backup run of {_NAME} failed: "
        '{{ $labels.reason | reReplaceAll "_" " " }}',
        description=f"""Victim: the database {_NAME}, whose last good backup grows old.
            Offender: the reason is {{{{ $labels.reason }}}}; the log's last line says more.""",
        board=Board.BACKUPS,
    )


def _bad(limits: Thresholds) -> Alert:
    return Alert(
        name="PostgresBackupBad",
        expr=f"""
max by ({_WHICH}) (
  knockon_backup_verify_good == 0
  or knockon_backup_restore_test_good == 0
)
""",
        hold=limits.backup_settles,
        severity=Severity.CRITICAL,
        summary=f"A backup of {_NAME} cannot be trusted",
        description=f"""Victim: the database {_NAME}: a backup was verified or restored, and
            found bad. Offender: a store or disk that loses bytes, or damage in the data itself.""",
        board=Board.BACKUPS,
    )


def _slow(limits: Thresholds) -> Alert:
    window = f"[{limits.backup_usual_window}] offset {limits.backup_usual_offset}"
    return Alert(
        name="PostgresBackupSlow",
        expr=f"""
(
  max by ({_WHICH}) (knockon_backup_duration_seconds > {limits.backup_slow_least_s})
  > {limits.backup_slow_factor:g}
    * max by ({_WHICH}) (quantile_over_time(0.5, knockon_backup_duration_seconds{window}))
)
unless on ({_WHICH}) ({_old_news(limits)})
""",
        hold=limits.backup_settles,
        severity=Severity.WARNING,
        summary=f"A backup of {_NAME} takes {{{{ $value | humanizeDuration }}}}: more than usual",
        description=f"""Victim: the next run of {_NAME}, and its deadline. Offender: a busier node
            (the governor yields), a slower store, or a database that has grown: the dashboard
            tells them apart.""",
        board=Board.BACKUPS,
    )


def _late(limits: Thresholds) -> Alert:
    rate = f"avg_over_time(knockon_backup_achieved_bytes_per_second[{limits.backup_late_window}])"
    return Alert(
        name="PostgresBackupDeadlineAtRisk",
        expr=f"""
max by ({_WHICH}) (
  (knockon_backup_expected_bytes - knockon_backup_read_bytes) / clamp_min({rate}, 1)
    > knockon_backup_deadline_timestamp_seconds - time()
  and knockon_backup_running == 1
  and knockon_backup_expected_bytes > 0
)
""",
        hold=limits.backup_late_for,
        severity=Severity.WARNING,
        summary=f"The running backup of {_NAME} will not meet its deadline",
        description=f"""Victim: the backup window of {_NAME}: at this rate it needs another
            {{{{ $value | humanizeDuration }}}}. Offender: a busy node to which the governor
            yields, or a store that is slow.""",
        board=Board.BACKUPS,
    )


def _harmful(limits: Thresholds) -> Alert:
    return Alert(
        name="PostgresBackupHarmful",
        expr=f"""
max by ({_WHICH}) (
  (knockon_backup_harm_seconds > {limits.backup_harm_least_s:g})
  / knockon_backup_duration_seconds > {limits.backup_harm_ratio:g}
)
unless on ({_WHICH}) ({_old_news(limits)})
""",
        hold="0s",
        severity=Severity.WARNING,
        summary=f"The backup of {_NAME} made others wait {{{{ $value | humanizePercentage }}}} "
        "of its time",
        description=f"""Victim: the database's own users and the neighbours on its node. Offender:
            the backup {_NAME}: its governor found the limit too late, or was told to keep a
            deadline at any price (--on-miss harm).""",
        board=Board.BACKUPS,
    )


def _never_verified(limits: Thresholds) -> Alert:
    return Alert(
        name="PostgresBackupNeverVerified",
        expr=_unproven("verify", limits.backup_verify_s, limits),
        hold=limits.backup_unproven_for,
        severity=Severity.INFO,
        summary=f"No backup of {_NAME} was verified lately",
        description=f"""Victim: whoever must restore {_NAME}: what lies in the store was not read
            again since it was written. Offender: no job runs `knockon backup verify`.""",
        board=Board.BACKUPS,
    )


def _restore_test_old(limits: Thresholds) -> Alert:
    return Alert(
        name="PostgresRestoreTestOld",
        expr=_unproven("restore_test", limits.restore_test_s, limits),
        hold=limits.backup_unproven_for,
        severity=Severity.INFO,
        summary=f"No restore of {_NAME} was tested lately",
        description=f"""Victim: whoever must restore {_NAME} and learns then that it does not work.
            Offender: no job runs `knockon backup restore-test`.""",
        board=Board.BACKUPS,
    )


def _unproven(what: str, limit_s: int, limits: Thresholds) -> str:
    success = latest("knockon_backup_last_success_timestamp_seconds", limits)
    proven = latest(f"knockon_backup_{what}_timestamp_seconds", limits)
    return f"{success} > 0\nunless on ({_WHICH})\n  time() - {proven} <= {limit_s}"


def _old_news(limits: Thresholds) -> str:
    """The last run ended long ago, and none runs now."""
    return (
        f"time() - max by ({_WHICH}) (knockon_backup_last_run_timestamp_seconds)"
        f" > {limits.backup_news_s}\n"
        f"  unless on ({_WHICH}) max by ({_WHICH}) (knockon_backup_running) == 1"
    )
