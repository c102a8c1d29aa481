"""What the pods may do: asserted field by field, so that a loosened one fails here by name."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UserError
from daemonset.jobs import public
from daemonset.render import Order, render
from tests.daemonset.manifest import (
    EVERYTHING,
    agent_pod,
    cluster_pod,
    job_pod,
    one,
    rendered,
    strings,
    things,
)

JOBS = ("knockon-backup", "knockon-restore-test")
WRITABLE = {"ring"}
PROFILES = ("probe", "attribution", "governor")


def container(pod: dict[str, Any]) -> dict[str, Any]:
    assert "initContainers" not in pod
    (only,) = pod["containers"]
    assert isinstance(only, dict)
    return only


def switched(*profiles: str) -> dict[str, Any]:
    return agent_pod(*(f"profiles.{one}.enabled=true" for one in profiles))


@pytest.mark.parametrize(
    "pod",
    [agent_pod(), cluster_pod(), *map(job_pod, JOBS)],
    ids=["agent", "cluster", "backup", "restore-test"],
)
def test_no_pod_can_gain_anything(pod: dict[str, Any]) -> None:
    for key in ("hostPID", "hostNetwork", "hostIPC", "shareProcessNamespace"):
        assert not pod.get(key)
    inside = container(pod)
    context = inside["securityContext"]
    assert context["privileged"] is False
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "procMount" not in context
    assert all("hostPort" not in port for port in inside.get("ports", ()))
    assert pod["enableServiceLinks"] is False


def test_all_of_the_node_is_read_only_but_the_ring() -> None:
    pod = agent_pod()
    paths = {one["name"]: one["hostPath"] for one in pod["volumes"] if "hostPath" in one}
    mounts = {one["name"]: one for one in container(pod)["volumeMounts"]}
    assert {one["path"] for one in paths.values()} == {
        "/var/log", "/run/log", "/etc/machine-id", "/sys/fs/cgroup", "/run/knockon",
    }  # fmt: skip
    for name in paths:
        assert mounts[name]["readOnly"] is (name not in WRITABLE), name
        if name not in WRITABLE:  # on cgroup v1 each controller is a mount of its own below
            assert mounts[name]["recursiveReadOnly"] == "IfPossible"
            assert not paths[name]["type"].endswith("OrCreate"), "what is read is never made"
    assert not {one["mountPath"] for one in mounts.values()} & {
        "/",
        "/proc",
        "/sys",
        "/dev",
        "/run",
    }


def test_no_mount_point_lies_in_a_read_only_volume() -> None:
    for everything in (False, True):
        mounts = container(agent_pod(everything=everything))["volumeMounts"]
        for outer, inner in itertools.permutations(mounts, 2):
            if inner["mountPath"].startswith(f"{outer['mountPath']}/"):
                assert (outer["name"], inner["name"]) == ("sys", "cgroup"), "it is there already"


def test_hierarchies_of_the_old_kind_are_mounted_one_by_one() -> None:
    pod = agent_pod("host.cgroups={/sys/fs/cgroup/memory,/sys/fs/cgroup/cpu}")
    mounts = {one["mountPath"]: one for one in container(pod)["volumeMounts"]}
    assert "/sys/fs/cgroup" not in mounts
    assert mounts["/sys/fs/cgroup/memory"]["readOnly"]
    assert mounts["/sys/fs/cgroup/cpu"]["readOnly"]


@pytest.mark.parametrize("count", range(4))
def test_profiles_add_what_they_say_and_nothing_else(count: int) -> None:
    for chosen in itertools.combinations(PROFILES, count):
        pod = switched(*chosen)
        context = container(pod)["securityContext"]
        assert context["capabilities"].get("add", []) == (
            ["SYS_PTRACE"] if "attribution" in chosen else []
        )
        assert context["privileged"] is False
        names = {one["name"] for one in pod["volumes"] if "hostPath" in one}
        assert ("runtime" in names) is ("probe" in chosen)
        assert ("proc" in names) is ("attribution" in chosen)
        writable = {one["name"] for one in container(pod)["volumeMounts"] if not one["readOnly"]}
        assert writable == WRITABLE | ({"cgroup"} if "governor" in chosen else set())


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_says_what_it_buys_and_costs(profile: str) -> None:
    why = next(one.why for one in rendered() if one.source.name == "daemonset.py")
    assert re.search(rf"^{profile} .*buys: .*costs: ", why, re.MULTILINE)


def test_the_agent_survives_the_incident() -> None:
    pod = agent_pod()
    inside = container(pod)
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert inside["resources"]["limits"] == {"memory": "64Mi"}, "no CPU limit: it falsifies probes"
    assert inside["resources"]["requests"]["memory"] == "64Mi"
    assert inside["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert inside["readinessProbe"]["httpGet"]["path"] == "/readyz"
    strategy = one("DaemonSet")["spec"]["updateStrategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": "10%"}


def test_with_client_certificates_the_kubelet_only_connects() -> None:
    inside = container(agent_pod("metrics.tlsSecret=tls", "metrics.clientCertificates=true"))
    assert inside["livenessProbe"]["tcpSocket"] == {"port": "metrics"}
    inside = container(agent_pod("metrics.tlsSecret=tls"))
    assert inside["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"


def test_the_namespace_warns_of_what_it_must_allow() -> None:
    labels = one("Namespace")["metadata"]["labels"]
    levels = {key.rpartition("/")[2]: one for key, one in labels.items() if "pod-security" in key}
    assert levels == {"enforce": "privileged", "audit": "restricted", "warn": "restricted"}


@pytest.mark.parametrize("name", JOBS)
def test_jobs_run_as_nobody_and_meet_the_restricted_level(name: str) -> None:
    pod = job_pod(name)
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 0
    assert context["fsGroup"] == context["runAsUser"]
    assert all("hostPath" not in one for one in pod["volumes"])


@pytest.mark.parametrize("name", JOBS)
def test_jobs_are_never_two_nor_left_behind(name: str) -> None:
    spec = one("CronJob", everything=True, named=name)["spec"]
    job = spec["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] > 100, "fewer than 100 missed starts, or it stops"
    assert spec["successfulJobsHistoryLimit"] == spec["failedJobsHistoryLimit"] == 3
    assert job["activeDeadlineSeconds"] > 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert job["template"]["spec"]["terminationGracePeriodSeconds"] >= 60, "PQcancel takes its time"


@given(st.integers(1, 72), st.integers(0, 72))
def test_the_job_ends_only_after_the_governor_had_its_deadline(hours: int, late: int) -> None:
    settings = (f"backup.deadlineHours={hours}", f"backup.lateHours={late}")
    order = Order(files=(EVERYTHING,), settings=settings)
    job = next(
        one.thing["spec"] for one in render(order) if one.source.name == "backup.py"
        and one.thing["kind"] == "CronJob"
    )  # fmt: skip
    assert isinstance(job, dict)
    assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] > (hours + late) * 3600


@pytest.mark.parametrize("name", JOBS)
def test_the_command_line_takes_the_arguments(name: str) -> None:
    from importlib import import_module

    from backup.commands import _parser
    from backup.run.settings import from_options

    args = container(job_pod(name))["args"]
    assert args[0] == "backup"
    module = {"run": "backup.run.command", "restore-test": "backup.restore.restore_test"}[args[1]]
    options = _parser(args[1], import_module(module)).parse_args(args[1:])
    if args[1] == "run":
        assert from_options(options).deadline_s == 6 * 3600


def test_secrets_are_files_and_never_arguments() -> None:
    for name in JOBS:
        inside = container(job_pod(name))
        for text in inside["args"]:
            if not text.startswith("SELECT"):
                assert public("x", text) == text
        assert all("valueFrom" not in one for one in inside["env"])
    modes = [
        volume["secret"]["defaultMode"]
        for name in JOBS
        for volume in job_pod(name)["volumes"]
        if "secret" in volume
    ]
    assert modes == [0o440] * 3
    assert "Secret" not in {one["kind"] for one in things(everything=True)}
    assert not [text for text in strings(things(everything=True)) if "PRIVATE KEY" in text]


@pytest.mark.parametrize(
    "setting",
    [
        "backup.service=x password\\=y",
        "backup.to=s3://key:secret@bucket/x",
        "backup.to=az://c/p?sig\\=abc",
        "backup.pushgateway=http://u:p@push:9091",
    ],
)
def test_a_secret_among_the_arguments_is_refused(setting: str) -> None:
    with pytest.raises(UserError, match="seems to hold a secret"):
        render(Order(files=(EVERYTHING,), settings=(setting,)))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("host.ring=/var/lib/knockon", "host.ring"),
        ("image.digest=latest", "image.digest must begin with sha256:"),
        ("profiles.probe.enabled=true,profiles.probe.runtime=rkt", "profiles.probe.runtime"),
        ("agent.config.kube.evnts=off", "did you mean events?"),
        ("agent.config.kube.events=often", "agent.config: kube.events must be one of"),
        ("agent.config.kube=off", "agent.config.kube must be a table"),
        ("backup.enabled=true", "backup.image is not set"),
        ("backup.enabled=true,backup.image=x", "backup.to is not set"),
    ],
)
def test_values_that_cannot_work_are_refused(setting: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        render(Order(settings=(setting,)))
    assert says in caught.value.message


def test_only_prometheus_gets_in_and_only_the_api_server_is_reached() -> None:
    for name in ("knockon", "knockon-cluster"):
        only_prometheus_and_the_api_server(one("NetworkPolicy", everything=True, named=name))


def only_prometheus_and_the_api_server(thing: dict[str, Any]) -> None:
    policy = thing["spec"]
    assert sorted(policy["policyTypes"]) == ["Egress", "Ingress"]
    (ingress,) = policy["ingress"]
    assert ingress["ports"] == [{"protocol": "TCP", "port": 9479}]
    assert ingress["from"][0]["namespaceSelector"]["matchLabels"]
    assert {one["port"] for one in policy["egress"][0]["ports"]} == {443, 6443, 8443, 16443}
