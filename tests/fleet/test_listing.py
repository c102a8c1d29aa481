"""`knockon incidents --cluster`: a real kubectl asks, and the incidents of all nodes are listed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from agent.model import Cause
from tests.agents import kubeconfig
from tests.command import knockon
from tests.fake_api import FakeApi
from tests.fleet.nodes import events, incident, planned

BIN = Path(sys.executable).parent  # with kubectl of the dev extra


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as made:
        yield made


def asked(api: FakeApi, folder: Path, *words: str) -> CompletedProcess[str]:
    env = {
        "KUBECONFIG": str(kubeconfig(folder, api)),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
    }
    return knockon("incidents", "--cluster", *words, env=env)


def told(api: FakeApi) -> None:
    three = [incident(f"node-{n}", n * 20, Cause.DISK_ERROR) for n in range(3)]
    for one in events(*three, planned("node-7", 9000)):
        api.store.put("events", one)
    api.store.put("events", {"metadata": {"name": "else", "namespace": "d"}, "reason": "Pulled"})


def test_what_belongs_together_is_listed_together(api: FakeApi, tmp_path: Path) -> None:
    told(api)
    done = asked(api, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, *lines = done.stdout.splitlines()
    assert "Storage failed 3 nodes within" in first
    assert first.endswith("15 pods hurt.")
    assert [line.split()[4] for line in lines[:3]] == ["node-0", "node-1", "node-2"]
    assert all(line.startswith("  ") for line in lines[:3])
    assert "node-7  5 pods  planned, node_reboot" in lines[3]
    (seen,) = api.seen
    assert seen.query == {"fieldSelector": "reportingComponent=knockon.dev/agent"}


def test_one_node_alone(api: FakeApi, tmp_path: Path) -> None:
    told(api)
    (line,) = asked(api, tmp_path, "--node", "node-1").stdout.splitlines()
    assert "node-1  5 pods  disk_error" in line


def test_as_json_it_is_what_the_replica_shows(api: FakeApi, tmp_path: Path) -> None:
    told(api)
    document = json.loads(asked(api, tmp_path, "--json").stdout)
    assert document["schema"] == "knockon/v1"
    assert len(document["incidents"]) == 4
    (group,) = document["fleet"]
    assert group["nodes"] == ["node-0", "node-1", "node-2"]


def test_what_is_long_ago_is_left_out(api: FakeApi, tmp_path: Path) -> None:
    told(api)
    assert asked(api, tmp_path, "--since", "2h").stdout.startswith("Nothing to report")


def test_who_may_not_is_told_so_in_one_line(api: FakeApi, tmp_path: Path) -> None:
    api.forbidden.add(("list", "events"))
    done = asked(api, tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "forbidden" in line.lower()
    assert "may you list events in all namespaces?" in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "soon"), "'soon' is no span; write 30m or 2h"),
        (("--context", "nowhere"), 'context "nowhere" does not exist'),
    ],
)
def test_a_mistake_is_one_line(
    words: tuple[str, ...], says: str, api: FakeApi, tmp_path: Path
) -> None:
    done = asked(api, tmp_path, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_cluster_its_options_mean_nothing() -> None:
    done = knockon("incidents", "--bundle", "tests/stories/quiet", "--since", "1h")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--since goes with a cluster" in done.stderr
