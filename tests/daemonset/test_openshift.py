"""OpenShift's constraints: whatever the pods ask for is in them, and nothing that they do not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.daemonset.manifest import agent_pod, one, things

ON = "openshift.enabled=true"
KINDS = {"configMap", "hostPath", "projected", "secret"}


def constraints(*settings: str) -> dict[str, Any]:
    return one("SecurityContextConstraints", ON, *settings)


def test_they_are_only_there_when_asked_for() -> None:
    assert not [each for each in things() if each["kind"] == "SecurityContextConstraints"]


def test_nothing_is_allowed_beyond_the_mounts_and_user_0() -> None:
    made = constraints()
    for key, value in made.items():
        if key.startswith("allow") and key != "allowHostDirVolumePlugin":
            assert value in (False, []), key
    assert made["requiredDropCapabilities"] == ["ALL"]
    assert made["readOnlyRootFilesystem"] is True
    assert made["seccompProfiles"] == ["runtime/default"]
    assert (made["users"], made["groups"]) == (["system:serviceaccount:knockon:knockon"], [])


@pytest.mark.parametrize("more", [(), ("metrics.tlsSecret=s",), ("agent.rules.a\\.toml=x",)])
def test_the_pods_fit(more: tuple[str, ...]) -> None:
    made, pod = constraints(*more), agent_pod(ON, *more)
    used = {key for volume in pod["volumes"] for key in volume if key != "name"}
    token = {"projected"}  # the account's token, which the API server adds
    assert used | token <= set(made["volumes"]) == KINDS
    context = pod["containers"][0]["securityContext"]
    assert context["seLinuxOptions"] == made["seLinuxContext"]["seLinuxOptions"]
    assert set(context["capabilities"].get("add", ())) <= set(made["allowedCapabilities"])


def test_a_profile_that_adds_a_capability_adds_it_here() -> None:
    traced = "profiles.attribution.enabled=true"
    assert constraints(traced)["allowedCapabilities"] == ["SYS_PTRACE"]
