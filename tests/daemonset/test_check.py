"""What renders is what three versions of Kubernetes take; what they would refuse is said before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.errors import UserError
from daemonset.check import SUPPORTED, check, known_version
from daemonset.text import Rendered
from tests.daemonset.manifest import ROOT, Thing, rendered, things

CUSTOM = {"PodMonitor", "PrometheusRule", "SecurityContextConstraints"}
PROFILES = ("probe", "attribution", "governor")


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("everything", [False, True])
def test_ours_is_valid(version: str, everything: bool) -> None:
    found = check(rendered(everything=everything), [version])
    assert found.faults == ()
    assert {one.split()[0] for one in found.unchecked} == (CUSTOM if everything else set())


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_alone_is_valid(profile: str) -> None:
    assert check(rendered(f"profiles.{profile}.enabled=true")).faults == ()


def test_three_versions_at_least_are_known() -> None:
    assert len({known_version(one) for one in SUPPORTED}) >= 3
    assert known_version("v1.33.4") == "1.33"
    with pytest.raises(UserError, match=r"no schemas of Kubernetes 1\.2"):
        known_version("1.2")


def broken(kind: str, change: Callable[[Thing], object]) -> tuple[str, ...]:
    """What is said when one object of ours is spoilt."""
    every = copy.deepcopy(things())
    thing = next(one for one in every if one["kind"] == kind)
    change(thing)
    return check([Rendered(Path("x.py"), "", one) for one in every]).faults


def pod(thing: Thing) -> Any:
    return thing["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("DaemonSet", lambda one: one["spec"].pop("selector"), "'selector' is a required property"),
        ("DaemonSet", lambda one: one["spec"].update(replicas=3), "'replicas' was unexpected"),
        (
            "DaemonSet",
            lambda one: pod(one)["containers"][0].update(image=7),
            "spec.template.spec.containers.0.image: 7 is not of type",
        ),
        (
            "DaemonSet",
            lambda one: one["spec"]["template"]["metadata"]["labels"].clear(),
            "which its own pods do not have",
        ),
        ("DaemonSet", lambda one: pod(one)["volumes"].pop(), "which is no volume of the pod"),
        (
            "DaemonSet",
            lambda one: pod(one)["containers"][0]["livenessProbe"]["httpGet"].update(port="web"),
            "asks port web, which it does not name",
        ),
        (
            "DaemonSet",
            lambda one: pod(one)["containers"][0]["volumeMounts"].append(
                {"name": "ring", "mountPath": "/run/knockon"}
            ),
            "mounts twice at /run/knockon",
        ),
        ("ConfigMap", lambda one: one["metadata"].update(name="Knock On"), "is no name"),
        ("ConfigMap", lambda one: one["metadata"].pop("name"), "has no metadata.name"),
        ("ConfigMap", lambda one: one["data"].update(x="x" * 1_100_000), "more than a mebibyte"),
        ("ConfigMap", lambda one: one.update(kind="ConfgMap"), "there is no ConfgMap in v1"),
        ("ConfigMap", lambda one: one.update(apiVersion="apps/v1"), "no ConfigMap in apps/v1"),
        ("ConfigMap", lambda one: one.update(kind="../../x"), "there is no ../../x"),
    ],
)
def test_what_a_cluster_would_refuse_is_said(
    kind: str, change: Callable[[Thing], object], says: str
) -> None:
    faults = broken(kind, change)
    assert any(says in one for one in faults), faults


def test_the_same_object_twice_is_said() -> None:
    twice = [*rendered(), rendered()[0]]
    assert check(twice).faults == ("namespace.py: Namespace knockon stands here twice",)


def test_a_kind_too_new_for_a_cluster_is_said() -> None:
    faults = check(rendered(), ["1.29"]).faults
    assert any("there is no ValidatingAdmissionPolicy in" in one for one in faults)


def test_the_committed_config_is_what_the_agent_takes(tmp_path: Path) -> None:
    from agent.daemon.config_file import load_config

    for everything in (False, True):
        maps = [one for one in things(everything=everything) if one["kind"] == "ConfigMap"]
        text = next(one["data"]["config.toml"] for one in maps if "config.toml" in one["data"])
        path = tmp_path / "config.toml"
        path.write_text(text, "utf-8")
        config = load_config(path)
        assert config.state.directory.endswith("/run/knockon/state")
        assert config.kube.events == ("on-demand" if everything else "auto")
    assert (ROOT / "daemonset" / "config.toml").is_file()


def test_labels_that_select_pods_are_those_of_the_first_version() -> None:
    """The API server refuses to change them: another word here would need a delete to upgrade."""
    for kind, component in (("DaemonSet", "agent"), ("Deployment", "cluster")):
        thing = next(one for one in things(everything=True) if one["kind"] == kind)
        assert thing["spec"]["selector"]["matchLabels"] == {
            "app.kubernetes.io/name": "knockon",
            "app.kubernetes.io/instance": "knockon",
            "app.kubernetes.io/component": component,
        }
