"""Starts the image in a real node: as the pod is, against that node's journal and its docker.

Needs root and what `tests/lab` needs. The image is built of this tree in such a node
(`tests/lab/container.py`), unless ``KNOCKON_IMAGE_ARCHIVE`` names a file made by ``docker save``.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemonset.manifest import agent_pod, one
from tests.lab.box import Box
from tests.lab.container import TAG, ensure_image
from tests.lab.image import LabUnavailable

CACHE = Path(os.environ.get("KNOCKON_LAB_CACHE", "/var/cache/knockon-lab"))
OFFLINE = "agent.config.kube.access=off"
LONGEST_S = 90.0
_ASK = (
    "import sys, urllib.request as r;"
    "print(r.urlopen('http://127.0.0.1:9479' + sys.argv[1], timeout=5).read().decode())"
)


@contextmanager
def node_with_image() -> Iterator[Box]:
    """A node with the image in its docker, and the manifest's configuration on its disk."""
    try:
        given = os.environ.get("KNOCKON_IMAGE_ARCHIVE", "")
        archive = Path(given) if given else ensure_image(CACHE).archive
        made = Box(CACHE)
    except LabUnavailable as missing:
        pytest.skip(str(missing))
    place = made.files / "root" / "e2e"
    place.mkdir(parents=True)
    shutil.copy(archive, place / "image.tar")
    config = place / "config"
    config.mkdir()
    (config / "config.toml").write_text(one("ConfigMap", OFFLINE)["data"]["config.toml"], "utf-8")
    with made:
        made.check("docker load -q -i /root/e2e/image.tar", 120)
        yield made


def options(*settings: str) -> list[str]:
    """The pod's settings, as docker's options."""
    pod = agent_pod(OFFLINE, *settings)
    (inside,) = pod["containers"]
    context, limits = inside["securityContext"], inside["resources"]["limits"]
    paths = {one["name"]: one["hostPath"]["path"] for one in pod["volumes"] if "hostPath" in one}
    paths["config"] = "/root/e2e/config"
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    chosen = ["--read-only", "--security-opt=no-new-privileges", "--network=none"]
    chosen += [f"--cap-drop={name}" for name in context["capabilities"]["drop"]]
    chosen += [f"--user={context['runAsUser']}:{context['runAsGroup']}", "--env=NODE_NAME=lab-node"]
    chosen += [f"--memory={limits['memory'].removesuffix('i').lower()}"]
    for mount in inside["volumeMounts"]:
        way = ":ro" if mount["readOnly"] else ""
        chosen.append(f"--volume={paths[mount['name']]}:{mount['mountPath']}{way}")
    return chosen


def start(box: Box, *settings: str) -> float:
    """Run the agent as the DaemonSet would; the kubelet's part is `--restart`. Seconds to ready."""
    (inside,) = agent_pod(OFFLINE)["containers"]
    words = [
        "docker",
        "run",
        "-d",
        "--name",
        "agent",
        "--restart=always",
        *options(*settings),
        TAG,
    ]
    began_s = time.monotonic()
    done = box.enter([*words, *inside["args"]], 60)
    assert done.returncode == 0, done.stderr
    until(lambda: asked(box, "/readyz") is not None, "the agent is ready", box)
    return time.monotonic() - began_s


def asked(box: Box, path: str) -> str | None:
    """What the agent answers, asked from inside its own container."""
    done = box.enter(["docker", "exec", "agent", "/opt/knockon/bin/python", "-c", _ASK, path], 20)
    return done.stdout if done.returncode == 0 else None


def until(holds: Callable[[], bool], what: str, box: Box) -> None:
    deadline_s = time.monotonic() + LONGEST_S
    while not holds():
        assert time.monotonic() < deadline_s, (
            f"{what}: {box.sh('docker logs agent').stderr[-3000:]}"
        )
        time.sleep(1)


def incidents(box: Box) -> list[dict[str, Any]]:
    found = asked(box, "/incidents")
    return list(json.loads(found)["incidents"]) if found else []
