"""The whole agent as a process, on a real journal file that is being written and a fake API."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fake_api import FakeApi
from tests.fake_pods import pod, sandbox_event
from tests.replay import Entry, entry

ROOT = Path(__file__).resolve().parent.parent
NODE = "node-1"
PATIENCE_S = 30.0
MONITOR = "kube-docker-monitor.service"


def now_us() -> int:
    return time.time_ns() // 1000


def kill_lines(at_us: int | None = None) -> list[Entry]:
    """A health monitor kills docker, and PID 1 says so."""
    at_us = now_us() if at_us is None else at_us
    exited = "docker.service: Main process exited, code=killed, status=9/KILL"
    pid1 = {"_PID": "1", "_COMM": "systemd", "UNIT": "docker.service", "_TRANSPORT": "journal"}
    return [
        entry(at_us, "Docker daemon failed!", _SYSTEMD_UNIT=MONITOR),
        entry(at_us + 1000, exited, **pid1),
    ]


def oom_lines(uid: str, at_us: int | None = None) -> list[Entry]:
    """A container of a pod outgrows its own limit: an incident of that pod alone."""
    at_us = now_us() if at_us is None else at_us
    group, pid = f"/kubepods/burstable/pod{uid}", int(uid[:8], 16) + 100
    where = (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,"
        f"oom_memcg={group},task_memcg={group}/{'a' * 64},task=tail,pid={pid},uid=0"
    )
    whom = (
        f"Memory cgroup out of memory: Killed process {pid} (tail) total-vm:65536kB, "
        "anon-rss:60000kB, file-rss:512kB, shmem-rss:0kB, UID:0 pgtables:160kB oom_score_adj:968"
    )
    kernel = {
        "_TRANSPORT": "kernel",
        "SYSLOG_IDENTIFIER": "kernel",
        "SYSLOG_FACILITY": "0",
        "_UID": "",
    }
    return [entry(at_us + n, text, **kernel) for n, text in enumerate((where, whom))]


def uid_of(number: int) -> str:
    return f"{number:08x}-1111-4222-8333-{number:012x}"


def changed_now(name: str, namespace: str = "prod") -> dict[str, Any]:
    """``SandboxChanged`` as of this second."""
    made = sandbox_event(f"{name}.{now_us():x}", name, node=NODE, namespace=namespace)
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**made, "firstTimestamp": stamp, "lastTimestamp": stamp}


def victims(count: int) -> list[dict[str, Any]]:
    return [pod(f"web-{n}", node=NODE, uid=uid_of(n)) for n in range(count)]


def kubeconfig(folder: Path, api: FakeApi) -> Path:
    path = folder / "kubeconfig.json"
    cluster, user = {"server": api.url}, {}
    if api.certs is not None:
        cluster["certificate-authority"] = str(api.certs.authority)
        user["client-certificate"] = str(api.certs.client.certificate)
        user["client-key"] = str(api.certs.client.key)
    document = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": user}],
        "current-context": "x",
    }
    path.write_text(json.dumps(document))
    return path


@dataclass(slots=True)
class Site:
    """A folder with everything one agent needs; start it, kill it, start it again."""

    folder: Path
    api: FakeApi | None = None
    settings: dict[str, dict[str, object]] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def state(self) -> Path:
        return Path(str(self.settings.get("state", {}).get("directory", self.folder / "state")))

    @property
    def ring(self) -> Path:
        return self.folder / "recorder.ring"

    @property
    def log(self) -> Path:
        return self.folder / "agent.log"

    def config(self) -> Path:
        self.journal.mkdir(exist_ok=True)
        kube: dict[str, object] = {"access": "off"}
        if self.api is not None:
            path = kubeconfig(self.folder, self.api)
            kube = {"access": "kubeconfig", "kubeconfig": str(path)}
        sections: dict[str, dict[str, object]] = {
            "node": {"name": NODE},
            "journal": {"directory": str(self.journal)},
            "kube": kube,
            "recorder": {"ring": str(self.ring), "ring_mib": 2, "lock_memory": False},
            "incidents": {"settle_s": 4.0},
            "state": {"directory": str(self.folder / "state")},
            "http": {"listen": "127.0.0.1:0"},
        }
        for name, more in self.settings.items():
            sections[name] = {**sections.get(name, {}), **more}
        path = self.folder / "config.toml"
        lines = []
        for name, section in sections.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(v)}" for key, v in section.items())]
        path.write_text("\n".join(lines) + "\n")
        return path

    def start(self, *prefix: str) -> None:
        command = [*prefix, sys.executable, "-m", "agent.daemon"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self.config())], cwd=ROOT, stderr=log, stdout=log
            )
        self.starts += 1

    def kill(self) -> None:
        """As the OOM killer would: nobody gets to say anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """As the kubelet does; returns how long it took."""
        assert self.process is not None
        begun_s = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return time.monotonic() - begun_s

    def lines(self) -> list[dict[str, Any]]:
        found = []
        for line in self.log.read_text("utf-8", "replace").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def port(self) -> int:
        until(lambda: len(self._ports()) > 0, self.said)
        return self._ports()[-1]

    def _ports(self) -> Sequence[int]:
        return [one["port"] for one in self.lines() if "port" in one]

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        found = [line for line in self.get("/metrics").splitlines() if line.startswith(f"{name} ")]
        return float(found[0].rpartition(" ")[2]) if found else float("nan")

    def ready(self) -> None:
        """Wait until everything is being watched."""

        def is_ready() -> bool:
            with suppress(OSError):
                seen = self.api is None or self.api.open_watches["events"] > 0
                return seen and self.get("/readyz") != "" and self._journal_is_read()
            return False

        until(is_ready, self.said)

    def _journal_is_read(self) -> bool:
        page = self.get("/metrics")
        return 'knockon_source_up{source="journal"} 1.0' in page


@contextmanager
def site(folder: Path, api: FakeApi | None = None, **settings: dict[str, object]) -> Iterator[Site]:
    """A site whose agent is gone afterwards, whatever happened."""
    made = Site(folder, api, settings)
    made.journal.mkdir(exist_ok=True)
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait()


def until(
    happens: Callable[[], bool], why: Callable[[], str] = str, longest_s: float = PATIENCE_S
) -> float:
    """Wait for something; returns how long that took."""
    begun_s = time.monotonic()
    while not happens():
        if time.monotonic() - begun_s > longest_s:
            pytest.fail(f"not within {longest_s:.0f} s: {why()[-3000:]}")
        time.sleep(0.02)
    return time.monotonic() - begun_s


def explained(api: FakeApi, reason: str = "RestartExplained") -> list[dict[str, Any]]:
    """The Events the agent has posted."""
    return [one for one in api.store.everything("events")[1] if one["reason"] == reason]


def incidents_told_on_the_node(api: FakeApi) -> list[str]:
    """The incident of every Event on a Node that tells of one."""
    stored = api.store.everything("events")[1]
    found = (one for one in stored if one["involvedObject"]["kind"] == "Node")
    marks = (one["metadata"].get("annotations", {}) for one in found)
    return [one["knockon.dev/incident"] for one in marks if "knockon.dev/incident" in one]
