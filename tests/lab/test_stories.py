"""Every recorded story is whole, says what it is, and its journal shows what it claims."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.lab import capture
from tests.lab.record import LIMIT_BYTES
from tests.lab.scenarios import SCENARIOS

STORIES = Path(__file__).resolve().parent.parent / "stories"
RECORDED = sorted(name for name in SCENARIOS if (STORIES / name).is_dir())
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
EXITED = "98e322203f7a4ed290d09fe03c09fe15"
DOCKER, PID_1 = {"_SYSTEMD_UNIT": "docker.service"}, {"_PID": "1", "UNIT": "docker.service"}
# What must be in the journal, on trusted fields, for the story to be the one it says it is.
SHOWS: dict[str, list[dict[str, str]]] = {
    "founding-incident": [
        {
            "_SYSTEMD_UNIT": "kube-docker-monitor.service",
            "_TRANSPORT": "stdout",
            "MESSAGE": "Docker daemon failed!",
        },
        DOCKER | {"MESSAGE": "Processing signal 'terminated'"},
        PID_1 | {"MESSAGE": "Started docker.service"},
    ],
    "monitor-kill-2020": [
        {
            "_SYSTEMD_UNIT": "kube-container-runtime-monitor.service",
            "_TRANSPORT": "stdout",
            "MESSAGE": "Container runtime docker failed!",
        },
        DOCKER | {"MESSAGE": "Processing signal 'terminated'"},
    ],
    "planned-restart": [PID_1 | {"MESSAGE_ID": STOPPING}],
    "upgrade": [
        PID_1 | {"MESSAGE_ID": STOPPING},
        {"_SYSTEMD_UNIT": "apt-daily-upgrade.service", "MESSAGE": "Setting up docker.io"},
    ],
    "dockerd-oom": [
        {"_TRANSPORT": "kernel", "MESSAGE": "Memory cgroup out of memory: Killed process"},
        PID_1 | {"MESSAGE_ID": EXITED, "EXIT_STATUS": "9"},
    ],
    "dockerd-crash": [
        DOCKER | {"MESSAGE": "SIGSEGV"},
        PID_1 | {"MESSAGE_ID": EXITED, "EXIT_STATUS": "2"},
    ],
    "sandbox-killed": [{"_SYSTEMD_UNIT": "containerd.service", "MESSAGE": "shim disconnected"}],
    "reboot": [PID_1 | {"MESSAGE_ID": STOPPING}],
    "spoofed-kill": [
        {"_TRANSPORT": "syslog", "MESSAGE": "Docker daemon failed!"},
        {"_TRANSPORT": "stdout", "MESSAGE": "Docker daemon failed!"},
        {"CONTAINER_TAG": "kube-docker-monitor", "MESSAGE": "Docker daemon failed!"},
        {"UNIT": "docker.service", "MESSAGE_ID": STOPPING, "_COMM": "logger"},
        {"_TRANSPORT": "syslog", "MESSAGE": "Memory cgroup out of memory"},
    ],
    "quiet": [],
}


def journal(story: Path) -> list[dict[str, str]]:
    raw = gzip.decompress((story / "journal.export.gz").read_bytes())
    return [
        {name.decode(): value.decode(errors="replace") for name, value in entry}
        for entry in capture.entries(raw)
    ]


def listing(story: Path, kind: str) -> list[dict[str, Any]]:
    raw = gzip.decompress((story / f"{kind}.json.gz").read_bytes())
    items: list[dict[str, Any]] = json.loads(raw)["items"]
    return items


def matches(entry: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(
        text in entry.get(name, "") if name == "MESSAGE" else entry.get(name) == text
        for name, text in wanted.items()
    )


@pytest.mark.parametrize("name", RECORDED)
def test_a_story_shows_what_it_claims(name: str) -> None:
    entries = journal(STORIES / name)
    assert entries
    assert [w for w in SHOWS[name] if not any(matches(entry, w) for entry in entries)] == []


@pytest.mark.parametrize("name", RECORDED)
def test_the_victims_are_the_pods_whose_sandbox_changed(name: str) -> None:
    truth = json.loads((STORIES / name / "truth.json").read_text())
    changed = {
        event["involvedObject"]["uid"]
        for event in listing(STORIES / name, "events")
        if event["reason"] == "SandboxChanged"
    }
    assert {victim["uid"] for victim in truth["victims"]} == changed
    assert len(changed) == SCENARIOS[name].victims
    assert truth["quiet"] is not bool(changed)


@pytest.mark.parametrize("name", RECORDED)
def test_a_story_is_small_and_says_what_is_staged(name: str) -> None:
    meta = json.loads((STORIES / name / "meta.json").read_text())
    assert meta["schema"] == "knockon.bundle/v1"
    assert "not a kubelet" in meta["staged"]["simulated"]
    assert sum(path.stat().st_size for path in (STORIES / name).iterdir()) <= LIMIT_BYTES


def test_the_founding_kill_was_nobodys_orderly_stop() -> None:
    entries = journal(STORIES / "founding-incident")
    assert not any(matches(entry, PID_1 | {"MESSAGE_ID": STOPPING}) for entry in entries)


def test_a_reboot_is_two_boots_in_one_journal() -> None:
    assert len({entry["_BOOT_ID"] for entry in journal(STORIES / "reboot")}) == 2


def test_nothing_but_the_monitors_unit_speaks_for_it() -> None:
    entries = journal(STORIES / "spoofed-kill")
    kill_lines = [entry for entry in entries if "daemon failed!" in entry.get("MESSAGE", "")]
    assert len(kill_lines) >= 5
    monitor = "kube-docker-monitor.service"
    assert not any(entry.get("_SYSTEMD_UNIT") == monitor for entry in kill_lines)
