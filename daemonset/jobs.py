"""What the two CronJobs share: a locked-down pod that is neither started twice nor left behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kubernetes import client  # noqa: TID251 - manifests are made on a laptop

from agent.errors import UserError
from backup.exits import Exit
from daemonset.context import Context
from daemonset.parts import BACKUP, labels, meta, pull_secrets, tolerations

NOBODY = 65532
SECRETS = "/run/secrets/knockon"
_SECRET = re.compile(
    r"(pass(word|wd|file)?|secret|token|sig|key)\s*=|://[^/\s@]*:[^/\s@]+@", re.IGNORECASE
)
# Trying again helps against a lost connection, not against these.
_FINAL = (Exit.USER_ERROR, Exit.NOT_VERIFIED, Exit.TOO_LATE)


@dataclass(frozen=True, slots=True)
class Job:
    """One CronJob's particulars."""

    component: str
    schedule: str
    time_zone: str
    longest_s: int
    grace_s: int
    retries: int
    container: client.V1Container
    volumes: tuple[client.V1Volume, ...]
    placed_by: Context
    speaks_to_api: bool = False


def cron_job(context: Context, job: Job) -> client.V1CronJob:
    """Return the CronJob."""
    return client.V1CronJob(
        api_version="batch/v1",
        kind="CronJob",
        metadata=job_meta(context, job.component),
        spec=client.V1CronJobSpec(
            schedule=job.schedule,
            time_zone=job.time_zone,
            concurrency_policy="Forbid",  # two at a time would each take the other for the workload
            starting_deadline_seconds=3600,  # late is better than never, until an hour has passed
            successful_jobs_history_limit=3,
            failed_jobs_history_limit=3,
            job_template=client.V1JobTemplateSpec(
                metadata=client.V1ObjectMeta(labels=labels(context, job.component)),
                spec=_spec(context, job),
            ),
        ),
    )


def job_meta(context: Context, component: str) -> client.V1ObjectMeta:
    """Return metadata in the backup's namespace."""
    return meta(
        context,
        component,
        name=f"{context['name']}-{component}",
        namespace=context["backup"]["namespace"] or context["namespace"],
    )


def _spec(context: Context, job: Job) -> client.V1JobSpec:
    return client.V1JobSpec(
        active_deadline_seconds=job.longest_s,
        backoff_limit=job.retries,
        ttl_seconds_after_finished=7 * 86400,
        pod_failure_policy=client.V1PodFailurePolicy(
            rules=[
                client.V1PodFailurePolicyRule(
                    action="FailJob",
                    on_exit_codes=client.V1PodFailurePolicyOnExitCodesRequirement(
                        container_name=job.container.name,
                        operator="In",
                        values=sorted(int(one) for one in _FINAL),
                    ),
                ),
                client.V1PodFailurePolicyRule(
                    action="Ignore",  # a drained node is no failure of the backup
                    on_pod_conditions=[
                        client.V1PodFailurePolicyOnPodConditionsPattern(
                            type="DisruptionTarget", status="True"
                        )
                    ],
                ),
            ]
        ),
        template=client.V1PodTemplateSpec(
            metadata=client.V1ObjectMeta(
                labels=labels(context, job.component),
                annotations={
                    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                    "karpenter.sh/do-not-disrupt": "true",
                    **context["backup"]["podAnnotations"],
                },
            ),
            spec=_pod(context, job),
        ),
    )


def _pod(context: Context, job: Job) -> client.V1PodSpec:
    return client.V1PodSpec(
        restart_policy="Never",
        service_account_name=f"{context['name']}-{BACKUP}",
        automount_service_account_token=job.speaks_to_api,
        enable_service_links=False,
        termination_grace_period_seconds=job.grace_s,
        image_pull_secrets=pull_secrets(context),
        node_selector={"kubernetes.io/os": "linux", **job.placed_by["nodeSelector"]},
        tolerations=tolerations(job.placed_by["tolerations"]),
        security_context=client.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=NOBODY,
            run_as_group=NOBODY,
            fs_group=NOBODY,  # lets this user read the Secrets' files, mode 0440
            seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
        ),
        containers=[job.container],
        volumes=list(job.volumes),
    )


def secret_files(name: str, secret: str) -> tuple[client.V1Volume, client.V1VolumeMount]:
    """Return a Secret as files that only the job's user reads."""
    volume = client.V1Volume(
        name=name, secret=client.V1SecretVolumeSource(secret_name=secret, default_mode=0o440)
    )
    mount = client.V1VolumeMount(name=name, mount_path=f"{SECRETS}/{name}", read_only=True)
    return volume, mount


def scratch(name: str, path: str, **source: Any) -> tuple[client.V1Volume, client.V1VolumeMount]:  # noqa: ANN401
    """Return room to write that goes with the pod."""
    volume = client.V1Volume(name=name, **source)
    return volume, client.V1VolumeMount(name=name, mount_path=path)


def tmpfs(size: str) -> client.V1EmptyDirVolumeSource:
    """Return a small folder in memory."""
    return client.V1EmptyDirVolumeSource(medium="Memory", size_limit=size)


def store_environment(context: Context) -> list[client.V1EnvFromSource] | None:
    """Return the cloud's variables from a Secret, for who has no workload identity."""
    secret = context["backup"]["storeSecret"]
    if not secret:
        return None
    return [client.V1EnvFromSource(secret_ref=client.V1SecretEnvSource(name=secret))]


def public(name: str, text: str) -> str:
    """Return an argument; refuses what looks like a secret, for everybody may read arguments."""
    if _SECRET.search(text):
        raise UserError(f"{name} seems to hold a secret", "credentials belong into the Secrets")
    return text


def needed(name: str, text: str, hint: str) -> str:
    """Return a value that has no default."""
    if not text:
        raise UserError(f"{name} is not set", hint)
    return text
