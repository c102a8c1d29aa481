"""The proof, once a week: a backup that nobody has restored is a hope.

The latest backup is restored to room of its own, Postgres starts on it, and is asked. It has no
access to the live database.
"""

from __future__ import annotations

from kubernetes import client

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
from daemonset.parts import RESTORE_TEST, fixed_memory, locked_down

_WORK = "/work"


def template(context: Context) -> client.V1CronJob | None:
    """Return the CronJob."""
    wanted = context["restoreTest"]
    if not wanted["enabled"]:
        return None
    volumes = [
        scratch("tmp", "/tmp", empty_dir=tmpfs("64Mi")),  # noqa: S108 - the pod's own
        scratch("work", _WORK, ephemeral=_room(wanted)),
    ]
    if context["backup"]["keySecret"]:
        volumes.append(secret_files("key", context["backup"]["keySecret"]))
    job = Job(
        component=RESTORE_TEST,
        schedule=wanted["schedule"],
        time_zone=context["backup"]["timeZone"],
        longest_s=wanted["hours"] * 3600,
        grace_s=120,  # the scratch server stops, and the copy is removed
        retries=0,
        container=_container(context, [mount for _, mount in volumes]),
        volumes=tuple(volume for volume, _ in volumes),
        placed_by=context["backup"],
    )
    return cron_job(context, job)


def _container(context: Context, mounts: list[client.V1VolumeMount]) -> client.V1Container:
    wanted = context["restoreTest"]
    return client.V1Container(
        name=RESTORE_TEST,
        image=needed("restoreTest.image", wanted["image"], "docker build --target restore-test"),
        image_pull_policy=context["image"]["pullPolicy"],
        args=_arguments(context),
        env=[client.V1EnvVar(name="HOME", value="/tmp")],  # noqa: S108 - the pod's own
        env_from=store_environment(context),
        resources=fixed_memory(wanted["cpuRequest"], wanted["memory"]),
        security_context=locked_down(),
        termination_message_policy="FallbackToLogsOnError",
        volume_mounts=mounts,
    )


def _arguments(context: Context) -> list[str]:
    told, wanted = context["backup"], context["restoreTest"]
    to = needed("backup.to", told["to"], "-s backup.to=s3://bucket/prefix")
    args = ["backup", "restore-test", "--from", to, "--work-dir", _WORK, "--role", wanted["role"]]
    if told["keySecret"]:
        args += ["--key-file", f"{SECRETS}/key/key"]
    if told["database"]:
        args += ["--name", told["database"]]
    if wanted["database"]:
        args += ["--database", wanted["database"]]
    if told["wal"] == "archived":
        hint = "with backup.wal=archived nothing is consistent without the archive"
        fetch = needed("restoreTest.restoreCommand", wanted["restoreCommand"], hint)
        args += ["--restore-command", fetch]
    if told["pushgateway"]:
        args += ["--metrics-pushgateway", told["pushgateway"]]
    args = [public("an argument of the restore test", one) for one in args]
    return [*args, "--query", wanted["query"]] if wanted["query"] else args


def _room(wanted: Context) -> client.V1EphemeralVolumeSource:
    return client.V1EphemeralVolumeSource(
        volume_claim_template=client.V1PersistentVolumeClaimTemplate(
            spec=client.V1PersistentVolumeClaimSpec(
                access_modes=["ReadWriteOnce"],
                storage_class_name=wanted["storageClass"] or None,
                resources=client.V1VolumeResourceRequirements(requests={"storage": wanted["size"]}),
            )
        )
    )
