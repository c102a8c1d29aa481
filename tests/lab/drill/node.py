"""The drill's node: a box on one slow disk with a database, its bystanders and a health monitor."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fake_api import FakeApi
from tests.fake_store import key_of
from tests.lab.box import Box
from tests.lab.disk.base import ensure_disk
from tests.lab.shell import Shell

NAME = "lab-node"
PODS = 4
DATABASE = Path("srv/pg")
CHECKS = Path("run/health-monitor.log")
MONITOR = "kube-docker-monitor.service"
_OWN_DISKS = "/run/own-disks"
_KEPT = Path("var/lib/pod-keeper")
_READILY_TIMES = 5
_POSTGRES_MEMORY_BYTES = 512 << 20
# The node's own Postgres, in a container of docker's that has nothing but it.
_POSTGRES = (
    "exec setpriv --reuid=postgres --regid=postgres --clear-groups"
    " /usr/lib/postgresql/*/bin/postgres -D /srv/pg/data"
)
PROGRAMS = {
    "pg-0": {
        "cmd": ["/bin/sh", "-c", _POSTGRES],
        "binds": [
            *(f"/{name}:/{name}:ro" for name in ("usr", "bin", "lib", "lib64", "etc")),
            "/srv/pg:/srv/pg",
        ],
        "memory": _POSTGRES_MEMORY_BYTES,
    }
}
_WEB_PODS = ("web-7d9c5b8f64-4kq2x", "web-7d9c5b8f64-tz8wn")


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the health monitor: when it was asked, how long it took, its answer."""

    at_s: float
    took_s: float
    status: int


@dataclass(frozen=True, slots=True)
class Scene:
    """Pods and a health monitor on a running node, whether a box or a virtual machine."""

    box: Shell

    def start_pods(self, patience_s: float = 90.0) -> None:
        """Start the pods and wait until the database answers."""
        self.box.check("systemctl enable -q --now pod-keeper.service")
        until(lambda: len(self.sandboxes()) == PODS, "every pod has a sandbox", patience_s)
        until(self.answers, "the database answers", patience_s)
        self.box.check("sync")  # as on a node that has run for a while

    def answers(self) -> bool:
        """Whether the database takes connections, asked in the node."""
        asked = "timeout 5 /usr/lib/postgresql/*/bin/pg_isready -q -h /srv/pg"
        return self.box.sh(asked, 20).returncode == 0

    def settle(self, readily_s: float, patience_s: float = 120.0) -> None:
        """Wait until docker answers readily in the memory there is, as on a node that has run.

        What a new limit pushed out comes back over the slow disk first; that is nobody's backup.
        """
        readily = 0

        def answers() -> bool:
            nonlocal readily
            asked = f"timeout {readily_s:g} docker ps -q"
            readily = readily + 1 if self.box.sh(asked, 60).returncode == 0 else 0
            return readily == _READILY_TIMES

        until(answers, "docker answers readily without a backup", patience_s)

    def start_monitor(self, check_s: float, every_s: float = 2.0, unit: str = MONITOR) -> None:
        """Start the health monitor, with its times scaled to the disk."""
        lines = ["[Service]", "TimeoutStopSec=2s"]
        for name, value in (
            ("CHECK_S", check_s),
            ("EVERY_S", every_s),
            ("CHECK_LOG", f"/{CHECKS}"),
        ):
            lines.append(f"Environment=LAB_{name}={value}")
        folder = f"/run/systemd/system/{unit}.d"
        text = "\\n".join(lines)
        self.box.check(
            f"mkdir -p {folder} && printf '{text}\\n' > {folder}/lab.conf"
            f" && systemctl daemon-reload && systemctl start {unit}"
        )

    def checks(self) -> list[Check]:
        """Every check of the health monitor that has ended."""
        found = []
        with suppress(OSError):
            for line in self.box.read(CHECKS).splitlines():
                began_us, took_us, status = map(int, line.split())
                found.append(Check(began_us / 1e6, took_us / 1e6, status))
        return found

    def pods(self) -> list[dict[str, Any]]:
        """The node's pods as an API server would list them."""
        return self._kept("pods")

    def events(self) -> list[dict[str, Any]]:
        """The node's events as an API server would list them."""
        return self._kept("events")

    def sandboxes(self) -> dict[str, str]:
        """Each pod's name and the sandbox it runs in."""
        return {
            pod["metadata"]["name"]: sandbox
            for pod in self.pods()
            if (sandbox := pod["metadata"]["annotations"].get("knockon.dev/lab-sandbox"))
        }

    def _kept(self, kind: str) -> list[dict[str, Any]]:
        with suppress(OSError, ValueError, RuntimeError):  # the node may be booting
            items: list[dict[str, Any]] = json.loads(self.box.read(_KEPT / f"{kind}.json"))["items"]
            return items
        return []


@dataclass(frozen=True, slots=True)
class Node(Scene):
    """A box with its slow disk, and what may be asked of it without touching that disk."""

    box: Box

    @property
    def dsn(self) -> str:
        """Where the database answers, from this machine."""
        return f"host={self.box.root / DATABASE} user=postgres dbname=postgres"

    def hide_other_disks(self) -> None:
        """The node has one disk; what neighbours do to this machine's others is not its load."""
        name = self.box.disk.name
        self.box.check(
            f"mkdir -p {_OWN_DISKS} && ln -sf ../devices/virtual/block/{name} {_OWN_DISKS}/{name}"
            f" && mount --bind {_OWN_DISKS} /sys/block"
        )

    def limit_memory(self, room_bytes: int) -> int:
        """Leave the node so much page cache above what it cannot give back; return the limit."""
        used = self.box.memory()
        limit = used.bytes - used.file_bytes + room_bytes
        self.box.limit_memory(limit)
        return limit


@contextmanager
def node(cache: Path, workers: int = 0) -> Iterator[Node]:
    """Boot the node with its disk not slowed yet; everything is gone afterwards.

    Each of the two web pods computes without a pause in so many processes.
    """
    box = Box(cache, disk=ensure_disk(cache))
    programs = box.files / "etc/pod-keeper.json"
    programs.parent.mkdir(parents=True, exist_ok=True)
    programs.write_text(json.dumps(_programs(workers)))
    with box:
        made = Node(box)
        made.hide_other_disks()
        yield made


def _programs(workers: int) -> Mapping[str, object]:
    """What the pods run; those that are not named here do nothing."""
    if not workers:
        return PROGRAMS
    works = f"for n in $(busybox seq {workers}); do while :; do :; done & done; wait"
    busy = {"cmd": ["/bin/sh", "-c", f"trap 'exit 0' TERM INT; {works}"]}
    return PROGRAMS | dict.fromkeys(_WEB_PODS, busy)


@contextmanager
def shown_by(api: FakeApi, node: Scene, every_s: float = 0.25) -> Iterator[None]:
    """Keep an API server's pods and events those of the node, as its kubelet would."""
    stopped = threading.Event()
    told: dict[tuple[str, str], str] = {}

    def copy(resource: str, items: list[dict[str, Any]]) -> None:
        for item in items:
            key, form = (resource, str(key_of(item))), json.dumps(item, sort_keys=True)
            if told.get(key) != form:
                api.store.put(resource, item)
                told[key] = form

    def run() -> None:
        while not stopped.wait(every_s):
            copy("pods", node.pods())
            copy("events", node.events())

    copy("pods", node.pods())
    thread = threading.Thread(target=run, name="kubelet", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(10.0)


def until(holds: Callable[[], bool], what: str, patience_s: float) -> float:
    """Wait for something; returns how long that took."""
    began_s = time.monotonic()
    while not holds():
        if time.monotonic() - began_s > patience_s:
            raise TimeoutError(f"not within {patience_s:g} s: {what}")
        time.sleep(0.25)
    return time.monotonic() - began_s
