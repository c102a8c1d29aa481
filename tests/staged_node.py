"""A node on which the founding incident is staged: a real agent, and a kernel made of files.

The agent is the whole process, on a journal that is really being written, a docker socket that
really stops answering, and an API server. Only /proc and /sys are a folder, whose counters a
thread lets grow as a kernel would: nobody may stall the disk of the machine that runs the tests.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.agents import NODE, Site, changed_now, explained, kill_lines, now_us, site, until
from tests.fake_api import FakeApi
from tests.fake_pods import pod
from tests.fake_runtimes import Talk, plain, runtime
from tests.node_tree import NodeTree, Use, uid
from tests.replay import JournalWriter, entry, journal_writer

BACKUP_POD = "pg-backup-29384756"
VICTIMS = ("pg-0", "web-1")
_PODS = {name: uid(at) for at, name in enumerate((*VICTIMS, BACKUP_POD), start=1)}
_STEP_S = 0.25
_CALM = {"io_us": 0.02, "cpu_us": 0.1, "memory_us": 0.0}
_STRAINED = {"io_us": 0.95, "cpu_us": 0.2, "memory_us": 0.004}
_READ_BYTES_PER_S = 240_000_000
_SECTOR_BYTES = 512


@dataclass(slots=True)
class Kernel:
    """Lets the counters of a node's files grow; under strain pg-0 reads all the disk can give."""

    tree: NodeTree
    strained: threading.Event = field(default_factory=threading.Event)
    began_s: float = field(default_factory=time.monotonic)
    strained_at_s: float = 0.0
    _pressure_us: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_CALM, 0.0))
    _read_bytes: int = 0

    def begin(self) -> None:
        """Give each pod and the runtime a control group."""
        for path in (*map(self.tree.pod_path, _PODS.values()), "system.slice/docker.service"):
            self.tree.write(path, Use(cpu_us=1000, memory_bytes=50 << 20))
        self.step(0.0)

    def run(self, stop: threading.Event) -> None:
        """Go on until told to stop."""
        at_s = time.monotonic()
        while not stop.wait(_STEP_S):
            now_s = time.monotonic()
            self.step(now_s - at_s)
            at_s = now_s

    def step(self, passed_s: float) -> None:
        """Let so much time pass."""
        strained = self.strained.is_set()
        shares = _STRAINED if strained else _CALM
        for name, share in shares.items():
            self._pressure_us[name] += share * passed_s * 1e6
        self._read_bytes += int(passed_s * (_READ_BYTES_PER_S if strained else 200_000))
        totals = {name: int(total) for name, total in self._pressure_us.items()}
        self.tree.pressure(**totals, io_pct=100 * shares["io_us"])
        self.tree.disks({"vda": (self._read_bytes // _SECTOR_BYTES, 2000)})
        reads = self._read_bytes // 16_384
        use = Use(read_bytes=self._read_bytes, reads=reads, memory_bytes=200 << 20)
        self.tree.write(self.tree.pod_path(_PODS["pg-0"]), use)


@dataclass(frozen=True, slots=True)
class StagedNode:
    """One node with its agent, and what may happen on it."""

    agent: Site
    kernel: Kernel
    api: FakeApi
    journal: JournalWriter

    @property
    def announcements(self) -> Path:
        """The node's /run/knockon, where a backup says that it runs."""
        return self.kernel.tree.root / "run" / "knockon"

    def page(self) -> str:
        """Return the agent's page of metrics."""
        return self.agent.get("/metrics")

    def strain(self) -> None:
        """Let the disk be eaten up, and the runtime wait for it."""
        self.kernel.strained_at_s = time.monotonic()
        self.kernel.strained.set()

    def seconds_recorded(self) -> float:
        """Return for how long the node has been watched."""
        return time.monotonic() - self.kernel.began_s

    def seconds_strained(self) -> float:
        """Return for how long its disk has been eaten up."""
        return time.monotonic() - self.kernel.strained_at_s

    def kill(self) -> None:
        """Let the health monitor do what it does, and the kubelet what follows."""
        self.journal.write(kill_lines())
        until(lambda: "opened:" in self.agent.said(), self.agent.said)
        self.kernel.strained.clear()
        for name in VICTIMS:
            self.api.store.create("events", changed_now(name))
        until(lambda: len(explained(self.api)) == len(VICTIMS), self.agent.said)


@contextmanager
def staged_node(folder: Path, remote_tool: str) -> Iterator[StagedNode]:
    """A calm node whose agent sees everything."""
    with ExitStack() as scope:
        api = scope.enter_context(FakeApi())
        for name, own_uid in _PODS.items():
            api.store.put("pods", pod(name, node=NODE, uid=own_uid))
        kernel = Kernel(NodeTree(folder / "root"))
        kernel.begin()
        _in_background(scope, kernel)
        docker = folder / "docker.sock"
        scope.enter_context(runtime(docker, _waits_for_the_disk(kernel)))
        agent = scope.enter_context(
            site(
                folder,
                api,
                node={"root": str(kernel.tree.root)},
                recorder={"ring": ""},  # where `knockon record show --root` looks for it
                probe={"docker": str(docker), "mean_gap_s": 1.0, "killer_timeout_s": 12.0},
            )
        )
        writer = scope.enter_context(journal_writer(remote_tool, agent.journal / "a.journal"))
        writer.write([entry(now_us() - 10**6, "quiet", _SYSTEMD_UNIT="docker.service")])
        until(lambda: any(one.stat().st_size for one in agent.journal.glob("*.journal")))
        node = StagedNode(agent, kernel, api, writer)
        node.announcements.mkdir(parents=True, exist_ok=True)
        agent.start()
        agent.ready()
        yield node


def _in_background(scope: ExitStack, kernel: Kernel) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=kernel.run, args=(stop,))
    thread.start()
    scope.callback(thread.join)
    scope.callback(stop.set)


def _waits_for_the_disk(kernel: Kernel) -> Talk:
    def talk(caller: socket.socket, end: threading.Event) -> None:
        caller.recv(4096)
        while kernel.strained.is_set() and not end.wait(0.05):
            pass
        caller.sendall(plain())

    return talk
