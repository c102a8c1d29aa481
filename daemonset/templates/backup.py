"""The base backup, once a day.

Never two at a time, retried once (the second waits for the lock of a first that was killed), ended
after its deadline and the lateness it is granted; the governor keeps its own deadline before that.
SIGTERM leaves it a minute, in which it cancels the
query (PQcancel) before the socket closes, so that the server stops reading. Secrets are files:
pg_service.conf with host, user and password, and the encryption key.
"""

from __future__ import annotations

from kubernetes import client

from agent.errors import UserError
from daemonset.context import Context
from daemonset.jobs import (
    SECRETS,
    Job,
    cron_job,
    needed,
    public,
    scratch,
    secret_files,
    store_environment,
    tmpfs,
)
from daemonset.parts import BACKUP, fixed_memory, locked_down, meta

LOCK_WAIT = "4m"
"""A killed run's lock is free after three minutes, its Lease after two."""


def template(context: Context) -> list[object] | None:
    """Return the CronJob and its account, which has no rights but on backup.lease."""
    wanted = context["backup"]
    if not (wanted["enabled"] or context["restoreTest"]["enabled"]):
        return None
    account = client.V1ServiceAccount(
        api_version="v1",
        kind="ServiceAccount",
        metadata=meta(
            context,
            BACKUP,
            name=f"{context['name']}-{BACKUP}",
            namespace=wanted["namespace"] or context["namespace"],
            annotations=dict(wanted["serviceAccountAnnotations"]) or None,
        ),
        automount_service_account_token=False,
    )
    return [account, *_backup(context)] if wanted["enabled"] else [account]


def _backup(context: Context) -> list[object]:
    wanted = context["backup"]
    if not 0 < wanted["deadlineHours"] <= 72 or not 0 <= wanted["lateHours"] <= 72:
        raise UserError("backup.deadlineHours and lateHours must be hours, at most 72")
    files = [secret_files("postgres", wanted["connectionSecret"])]
    if wanted["keySecret"]:
        files.append(secret_files("key", wanted["keySecret"]))
    files.append(scratch("tmp", "/tmp", empty_dir=tmpfs("32Mi")))  # noqa: S108 - the pod's own
    job = Job(
        component=BACKUP,
        schedule=wanted["schedule"],
        time_zone=wanted["timeZone"],
        longest_s=(wanted["deadlineHours"] + wanted["lateHours"]) * 3600 + 600,
        grace_s=60,
        retries=1,
        container=_container(context, [mount for _, mount in files]),
        volumes=tuple(volume for volume, _ in files),
        placed_by=wanted,
        speaks_to_api=bool(wanted["lease"]),
    )
    return [cron_job(context, job)]


def _container(context: Context, mounts: list[client.V1VolumeMount]) -> client.V1Container:
    wanted = context["backup"]
    return client.V1Container(
        name=BACKUP,
        image=needed("backup.image", wanted["image"], "docker build --target backup"),
        image_pull_policy=context["image"]["pullPolicy"],
        args=_arguments(wanted),
        env=[
            client.V1EnvVar(name="PGSERVICEFILE", value=f"{SECRETS}/postgres/pg_service.conf"),
            client.V1EnvVar(name="HOME", value="/tmp"),  # noqa: S108 - the pod's own
        ],
        env_from=store_environment(context),
        resources=fixed_memory(wanted["cpuRequest"], wanted["memory"]),
        security_context=locked_down(),
        termination_message_policy="FallbackToLogsOnError",
        volume_mounts=mounts,
    )


def _arguments(wanted: Context) -> list[str]:
    to = needed("backup.to", wanted["to"], "-s backup.to=s3://bucket/prefix")
    args = ["backup", "run", "--dsn", f"service={wanted['service']}", "--to", to]
    args += ["--deadline", f"{wanted['deadlineHours']}h", "--on-miss", wanted["onMiss"]]
    args += ["--wal", wanted["wal"]]
    args += ["--lock-wait", LOCK_WAIT]
    if wanted["lease"]:
        args += ["--lease", wanted["lease"]]
    if wanted["ceiling"]:
        args += ["--ceiling", wanted["ceiling"]]
    if wanted["keySecret"]:
        args += ["--encrypt-key-file", f"{SECRETS}/key/key"]
    if wanted["database"]:
        args += ["--name", wanted["database"]]
    if wanted["pushgateway"]:
        args += ["--metrics-pushgateway", wanted["pushgateway"]]
    return [public("an argument of the backup", one) for one in args]
