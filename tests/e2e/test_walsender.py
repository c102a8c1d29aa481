"""A base backup by a foreign tool: it is recognised by its walsender and named, not only Postgres.

The backup is a real one, read by a real walsender whose title the agent reads where it stands. That
it runs in a pod, and what the pod moves, are files: nobody may load this machine's disk for it.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.agents import explained, until
from tests.backup.cluster import Cluster, free_port, running
from tests.replay import remote_tool
from tests.staged_node import StagedNode, staged_node
from tests.test_attribution import PG

TOOL = remote_tool() or ""
CALM_S, STRAINED_S = 16.0, 18.0

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
]


@contextmanager
def slow_backup(server: Cluster) -> Iterator[int]:
    """Somebody's ``pg_basebackup``, as slow as it goes; gives its walsender's pid."""
    where = ["-h", str(server.folder), "-p", str(server.port), "-U", server.user]
    words = [
        str(server.clients / "pg_basebackup"),
        *where,
        "-D",
        "-",
        "-Ft",
        "-X",
        "none",
        "-r",
        "128k",
    ]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tool:
        try:
            yield server.backup_pid()
        finally:
            tool.terminate()


def runs_in_postgres_pod(node: StagedNode, pid: int) -> None:
    """Let the node see this process, and that it belongs to the pod pg-0."""
    here = node.kernel.tree.root / "proc" / str(pid)
    here.mkdir(parents=True)
    (here / "cmdline").symlink_to(f"/proc/{pid}/cmdline")
    (here / "cgroup").write_text(f"0::/{node.kernel.tree.pod_path(uid_of_pg(node))}\n")


def uid_of_pg(node: StagedNode) -> str:
    pods = node.api.store.everything("pods")[1]
    return str(next(one["metadata"]["uid"] for one in pods if one["metadata"]["name"] == PG.name))


def test_the_backup_behind_a_walsender_is_named_on_the_victims(tmp_path: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="knockon-pg-", ignore_cleanup_errors=True) as folder,
        running(Path(folder), free_port()) as server,
        slow_backup(server) as walsender,
        staged_node(tmp_path, TOOL) as node,
    ):
        title = Path(f"/proc/{walsender}/cmdline").read_bytes().rstrip(b"\0").decode()
        assert "walsender" in title
        runs_in_postgres_pod(node, walsender)
        time.sleep(max(0.0, CALM_S - node.seconds_recorded()))
        node.strain()
        time.sleep(STRAINED_S)
        node.kill()
        (summary,) = json.loads(node.agent.get("/incidents"))["incidents"]
        path = f"/incidents/{summary['id']}"

        def offender() -> dict[str, str]:
            return dict(json.loads(node.agent.get(path))["incidents"][0]["offender"] or {})

        until(lambda: offender().get("name") == "base backup of prod/pg-0", node.agent.said)
        method = offender()["method"]
        assert "seen by a walsender's title (pg_basebackup protocol)" in method
        assert "MB/s" in method, "and how much it moved"
        notes = [one["message"] for one in explained(node.api)]
        assert notes
        assert all("base backup of prod/pg-0" in one for one in notes)
