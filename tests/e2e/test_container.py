"""The image in a real node: started as the pod is, it sees that node's incident."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.e2e.container import asked, incidents, node_with_image, start, until
from tests.lab.box import Box
from tests.lab.container import TAG
from tests.lab.record import _start_monitor, _start_pods
from tests.lab.scenarios import SCENARIOS

pytestmark = pytest.mark.e2e


@pytest.fixture
def box() -> Iterator[Box]:
    with node_with_image() as made:
        yield made


def test_the_pod_starts_without_a_privilege_and_tells_the_incident(box: Box) -> None:
    scenario = SCENARIOS["founding-incident"]
    _start_pods(box)
    ready_s = start(box)
    status = box.check("docker exec agent cat /proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert asked(box, "/healthz") is not None
    assert scenario.monitor
    _start_monitor(box, scenario.monitor, print)
    time.sleep(5)
    scenario.act(box, print)
    until(lambda: bool(incidents(box)), "an incident is told", box)
    (told,) = incidents(box)
    whole = json.loads(asked(box, f"/incidents/{told['id']}") or "{}")["incidents"][0]
    assert (whole["killer"]["kind"], whole["cause"]) == (scenario.killer, scenario.cause)
    assert ready_s < 30.0
    # The runtime that was killed is the agent's own: it died too, and read on where it had been.
    assert "Going on behind an agent that stopped" in box.check("docker logs agent 2>&1")


def test_nothing_of_the_node_can_be_written_but_the_ring(box: Box) -> None:
    found = box.check("ls -d /sys/fs/cgroup/*/ 2>/dev/null || true").split()
    hierarchies = [path.rstrip("/") for path in found if path.count("/") == 5]
    old = not box.check("ls /sys/fs/cgroup/cgroup.controllers 2>/dev/null || true").strip()
    names = ",".join(hierarchies)
    start(box, *([f"host.cgroups={{{names}}}"] if old else []))
    for path in ("/x", "/etc/machine-id", "/var/log/x", "/run/log/x", "/sys/fs/cgroup/x", "/tmp/x"):
        assert box.sh(f"docker exec agent sh -c ': >> {path}'").returncode != 0, path
    for each in hierarchies if old else ():
        done = box.sh(f"docker exec agent sh -c ': >> {each}/cgroup.procs'")
        assert "Read-only file system" in done.stderr, each
    box.check("docker exec agent sh -c 'echo x > /run/knockon/e2e'")
    assert box.check("cat /run/knockon/e2e") == "x\n"


def test_what_is_in_the_image_is_listed_and_nothing_builds_there(box: Box) -> None:
    start(box)
    listed = json.loads(box.check("docker exec agent cat /usr/share/knockon/sbom.cdx.json"))
    assert (listed["bomFormat"], listed["specVersion"]) == ("CycloneDX", "1.5")
    names = {one["name"]: one["purl"] for one in listed["components"]}
    assert names["systemd-python"].startswith("pkg:pypi/systemd-python@")
    assert names["libsystemd0"].startswith("pkg:deb/debian/libsystemd0@")
    there = set(box.check("docker exec agent dpkg-query -W -f '${Package}\\n'").split())
    assert there <= set(names)
    for tool in ("gcc", "cc", "make", "pip", "pip3"):
        assert box.sh(f"docker exec agent sh -c 'command -v {tool}'").returncode != 0, tool
    assert box.check(f"docker inspect -f '{{{{.Config.User}}}}' {TAG}").strip() == "65532:65532"
