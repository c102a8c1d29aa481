"""The stage of a scenario: a real agent on a real journal file, a docker socket, an API server."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.agents import NODE, Site, changed_now, now_us, site, until
from tests.fake_api import FakeApi
from tests.fake_pods import node, pod, stamp
from tests.fake_runtimes import Talk, plain, runtime
from tests.node_tree import NodeTree, uid
from tests.reliability.machine import CALM, Machine, Strain
from tests.replay import Entry, JournalWriter, entry, journal_writer

PODS = ("pg-0", "web-1", "report-7", "pg-backup-1")
_KILLED_FOR_S = 0.7
_BACKUP_PID = 4321
_TICKS = 77
_SAMPLES = re.compile(r"^knockon_recorder_samples_total (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Stage:
    """All that a scenario may reach for; ``strikes`` is when it says that the blow has fallen."""

    folder: Path
    agent: Site
    api: FakeApi
    journal: JournalWriter
    machine: Machine
    kills_agent: bool = False
    struck_at_s: float = 0.0
    afterwards: ExitStack = field(default_factory=ExitStack)
    """What must be undone when the agent is gone."""

    def strikes(self, entries: Sequence[Entry] = ()) -> None:
        """Write the lines of the blow; the agent may be killed while it reads them."""
        self.struck_at_s = self.struck_at_s or time.time()
        self.journal.write(entries)
        if self.kills_agent:
            time.sleep(0.3)
            self.agent.kill()
            time.sleep(_KILLED_FOR_S)
            self.agent.start()

    def strain(self, strain: Strain, lasts_s: float, *, hangs: bool = True) -> None:
        """Let the node suffer so long before anything else happens."""
        self.machine.strain = strain
        if hangs:
            self.machine.hung.set()
        time.sleep(lasts_s)

    def is_watched(self, samples: int) -> None:
        """Wait until the recorder has seen the node so often."""

        def seen() -> bool:
            found = _SAMPLES.search(self.agent.get("/metrics"))
            return found is not None and float(found[1]) >= samples

        until(seen)

    def relax(self) -> None:
        """Let the node be calm again."""
        self.machine.strain = CALM
        self.machine.hung.clear()

    def re_creates(self, *names: str) -> None:
        """Let the kubelet say that it re-creates these pods."""
        for name in names:
            self.api.store.create("events", changed_now(name))

    def event(self, reason: str, message: str, about: dict[str, Any], by: str = "kubelet") -> None:
        """Let a component say something now."""
        now = stamp(time.time())
        meta = {"name": f"{about['name']}.{now_us():x}", "namespace": about.get("namespace", "")}
        meta["namespace"] = meta["namespace"] or "default"
        self.api.store.create(
            "events",
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": meta,
                "involvedObject": about,
                "reason": reason,
                "message": message,
                "source": {"component": by, "host": NODE},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": "Normal",
            },
        )

    def announces_backup(self) -> Path:
        """Let a base backup say on the node's tmpfs that it runs, as ``knockon backup`` does."""
        root = self.machine.tree.root
        namespace = "pid:[4026531836]"
        (root / "proc/self/ns").mkdir(parents=True, exist_ok=True)
        link = root / "proc/self/ns/pid"
        if not link.is_symlink():
            link.symlink_to(namespace)
        process = root / "proc" / str(_BACKUP_PID)
        process.mkdir(exist_ok=True)
        (process / "stat").write_text(f"{_BACKUP_PID} (knockon) S {'1 ' * 18}{_TICKS} 0 0\n")
        said = {
            "pid": _BACKUP_PID,
            "pid_namespace": namespace,
            "start_ticks": _TICKS,
            "started_at": time.time(),
            "device": "vda",
            "data_directory": "/srv/pg",
            "host": "pg-backup-1",
            "tool": "knockon backup",
        }
        path = root / "run/knockon" / f"backup-{_BACKUP_PID}-{_TICKS}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(said))
        return path

    def backup_is_killed(self) -> None:
        """SIGKILL: the process is gone, and what it had announced lies there still."""
        (self.machine.tree.root / "proc" / str(_BACKUP_PID) / "stat").unlink()


@contextmanager
def stage(folder: Path, tool: str, journal_bytes: int = 0, port: int = 0) -> Iterator[Stage]:
    """A calm node whose agent sees everything; its journal may have a small partition.

    The agent listens on this port of loopback whenever it starts, or else on any.
    """
    with ExitStack() as afterwards, ExitStack() as scope:
        api = scope.enter_context(FakeApi())
        uids = {name: uid(at) for at, name in enumerate(PODS, start=1)}
        for name, own in uids.items():
            api.store.put("pods", pod(name, node=NODE, uid=own))
        api.store.put("nodes", node(NODE))
        machine = Machine(NodeTree(folder / "root"), uids)
        scope.enter_context(machine.running())
        docker = folder / "docker.sock"
        scope.enter_context(runtime(docker, _answers_unless_hung(machine)))
        usual: dict[str, dict[str, object]] = {
            "node": {"root": str(machine.tree.root)},
            "http": {"listen": f"127.0.0.1:{port}"},
            "probe": {"docker": str(docker), "mean_gap_s": 1.0, "killer_timeout_s": 12.0},
        }
        agent = scope.enter_context(site(folder, api, **usual))
        if journal_bytes:
            size = f"size={journal_bytes}"
            where = str(agent.journal)
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", where], check=True)
            afterwards.callback(subprocess.run, ["umount", "-l", where], check=True)
        writer = scope.enter_context(journal_writer(tool, agent.journal / "a.journal"))
        writer.write([entry(now_us() - 10**6, "quiet", _SYSTEMD_UNIT="docker.service")])
        until(lambda: any(one.stat().st_size for one in agent.journal.glob("*.journal")))
        agent.start()
        agent.ready()
        yield Stage(folder, agent, api, writer, machine, afterwards=afterwards)


def _answers_unless_hung(machine: Machine) -> Talk:
    def talk(caller: socket.socket, end: threading.Event) -> None:
        caller.recv(4096)
        while machine.hung.is_set() and not end.wait(0.05):
            pass
        caller.sendall(plain())

    return talk
