"""``knockon bundle collect``: what is taken along is what ``why`` needs, and nothing secret."""

from __future__ import annotations

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from agent.daemon.collect import Parts, entry_of, lean_node, lean_pod, write_bundle
from agent.sources.journal_fields import record_of
from tests.agents import kill_lines, kubeconfig, now_us, victims
from tests.command import CHANGED, NODE, event, is_one_line, knockon
from tests.fake_api import FakeApi
from tests.fake_pods import node, pod
from tests.replay import entry, remote_tool, write_journal

TOOL = remote_tool() or ""
live = pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed")


def journal(folder: Path) -> Path:
    path = folder / "journal"
    path.mkdir()
    start_us = now_us() - 10**8
    lines = [
        entry(start_us, "quiet", _SYSTEMD_UNIT="docker.service"),
        *kill_lines(start_us + 10**6),
        entry(start_us + 10**7, "of no interest", _SYSTEMD_UNIT="other.service"),
        entry(start_us + 2 * 10**7, "quiet", _SYSTEMD_UNIT="docker.service"),
    ]
    write_journal(TOOL, path / "a.journal", lines)
    return path


def why(path: Path) -> list[dict[str, Any]]:
    done = knockon("why", "--bundle", path, "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout)["incidents"]
    return found


@live
@pytest.mark.parametrize("form", ["bundle", "b.tar", "b.tar.gz", "b.tar.zst"])
def test_every_form_gives_the_same_answer(tmp_path: Path, form: str) -> None:
    pytest.importorskip("systemd._reader")
    if form.endswith("zst"):
        pytest.importorskip("zstandard")
    out = tmp_path / form
    place = ("--journal-dir", journal(tmp_path))
    done = knockon("bundle", "collect", *place, "--out", out, "--node", "node-1")
    assert done.returncode == 0, done.stderr
    assert "4 journal entries" in done.stdout
    (incident,) = why(out)
    assert incident["killer"]["kind"] == "health_monitor"
    assert incident["node"] == "node-1"


@live
def test_files_of_kubectl_do_where_no_api_server_is(tmp_path: Path) -> None:
    pytest.importorskip("systemd._reader")
    listed = {"kind": "List", "items": [event("prod", "pg-0", "SandboxChanged", CHANGED)]}
    events = tmp_path / "events.json"
    events.write_text(json.dumps(listed))
    place = ("--journal-dir", journal(tmp_path), "--node", NODE)
    done = knockon("bundle", "collect", *place, "--events", events, "--out", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "events.json.gz",
        "journal.json.gz",
        "meta.json",
    ]
    meta = json.loads((tmp_path / "b/meta.json").read_text())
    assert meta["node"] == NODE
    assert "recorder.ring" in meta["blind"][0]["why"]


@live
def test_the_api_server_is_asked_for_this_node_only(tmp_path: Path) -> None:
    pytest.importorskip("systemd._reader")
    with FakeApi() as api:
        for thing in victims(2):
            api.store.put("pods", thing)
        api.store.put("pods", pod("stranger", node="node-2"))
        api.store.put("nodes", node("node-1"))
        api.store.put("nodes", node("node-2"))
        config = tmp_path / "config.toml"
        config.write_text(
            f'[node]\nname = "node-1"\n[kube]\naccess = "kubeconfig"\n'
            f'kubeconfig = "{kubeconfig(tmp_path, api)}"\n'
            f'[journal]\ndirectory = "{journal(tmp_path)}"\n'
            f'[state]\ndirectory = "{tmp_path / "state"}"\n'
        )
        done = knockon("bundle", "collect", "--config", config, "--out", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    pods = json.loads(gzip.decompress((tmp_path / "b/pods.json.gz").read_bytes()))["items"]
    assert [one["metadata"]["name"] for one in pods] == ["web-0", "web-1"]
    assert "env" not in json.dumps(pods)
    nodes = json.loads(gzip.decompress((tmp_path / "b/nodes.json.gz").read_bytes()))["items"]
    assert [one["metadata"]["name"] for one in nodes] == ["node-1"]


def test_what_may_be_secret_stays_behind() -> None:
    secret = pod("web-0", ballast=3)
    secret["spec"]["containers"][0] |= {"args": ["--password=hunter2"], "command": ["x"]}
    secret["metadata"]["annotations"] = {"last-applied": "hunter2"}
    assert "hunter2" not in json.dumps(lean_pod(secret))
    assert "SETTING_0" not in json.dumps(lean_pod(secret))
    assert lean_pod(secret)["status"] == secret["status"]
    assert lean_pod({"spec": {"containers": "odd"}})["kind"] == "Pod"
    full = node("n") | {"status": {"images": ["a"], "nodeInfo": {}}}
    assert lean_node(full)["status"] == {"nodeInfo": {}}


def test_an_entry_is_as_journalctl_prints_it() -> None:
    fields = {"MESSAGE": '{"log":"hello"}', "_BOOT_ID": "b", "_SYSTEMD_UNIT": "docker.service"}
    fields |= {"__REALTIME_TIMESTAMP": "1795000000123457", "_TRANSPORT": "stdout"}
    assert entry_of(record_of(dict(fields), "x")) == fields


def test_an_archive_holds_one_folder(tmp_path: Path) -> None:
    parts = Parts()
    parts.add("a.json", b"{}", "a")
    write_bundle(parts, tmp_path / "b.tar.gz")
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        assert tar.getnames() == ["bundle/a.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar.gz"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--journal-dir", "/nowhere/at/all"), "No such file"),
        (("--since", "yesterday"), "is no time"),
        (("--config", "/nowhere.toml"), "No such file"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = knockon("bundle", "collect", "--out", tmp_path / "b", *words)
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert said in done.stderr
