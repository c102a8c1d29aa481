"""A node's kernel as files whose counters grow: who reads, who writes, what waits for what."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.node_tree import NodeTree, Use

_STEP_S = 0.25
_SECTOR_BYTES = 512
_READ_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Load:
    """What one pod does in a second."""

    read_bytes: int = 20_000
    written_bytes: int = 10_000
    refaults: int = 0
    stalled_share: float = 0.0
    cpu_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Strain:
    """How much of the time everything waits, and by whose load; a calm node by default."""

    io_share: float = 0.02
    memory_share: float = 0.0
    cpu_share: float = 0.0
    runtime_cpu_share: float = 0.01
    """How much of one processor dockerd gets; none while it is frozen."""
    available_kib: int = 4_000_000
    loads: Mapping[str, Load] = field(default_factory=dict)


CALM = Strain()


@dataclass(slots=True)
class Machine:
    """Lets time pass in the files below a root; pods have control groups there."""

    tree: NodeTree
    uids: Mapping[str, str]
    strain: Strain = CALM
    hung: threading.Event = field(default_factory=threading.Event)
    _io_us: float = 0.0
    _memory_us: float = 0.0
    _cpu_us: float = 0.0
    _runtime_us: float = 0.0
    _uses: dict[str, Use] = field(default_factory=dict)

    def step(self, passed_s: float) -> None:
        """Let so much time pass under the strain there is."""
        strain = self.strain
        self._io_us += strain.io_share * passed_s * 1e6
        self._memory_us += strain.memory_share * passed_s * 1e6
        self._cpu_us += strain.cpu_share * passed_s * 1e6
        self._runtime_us += strain.runtime_cpu_share * passed_s * 1e6
        total = Use()
        for name, uid in self.uids.items():
            load = strain.loads.get(name, Load())
            used = self._uses.get(name, Use(cpu_us=1000, memory_bytes=200 << 20))
            self._uses[name] = used.more(
                read_bytes=int(load.read_bytes * passed_s),
                write_bytes=int(load.written_bytes * passed_s),
                reads=int(load.read_bytes * passed_s) // _READ_BYTES,
                writes=int(load.written_bytes * passed_s) // _READ_BYTES,
                refaults=int(load.refaults * passed_s),
                major_faults=int(load.refaults * passed_s) // 8,
                stalled_us=int(load.stalled_share * passed_s * 1e6),
                cpu_us=int(load.cpu_share * passed_s * 1e6),
            )
            self.tree.write(self.tree.pod_path(uid), self._uses[name])
            used = self._uses[name]
            total = total.more(
                read_bytes=used.read_bytes, write_bytes=used.write_bytes, refaults=used.refaults
            )
        runtime = Use(cpu_us=int(self._runtime_us), memory_bytes=50 << 20)
        self.tree.write("system.slice/docker.service", runtime)
        waited_us = (int(self._io_us), int(self._cpu_us), int(self._memory_us))
        self.tree.pressure(*waited_us, io_pct=100 * strain.io_share)
        self.tree.memory(strain.available_kib, total.refaults)
        sectors = (total.read_bytes // _SECTOR_BYTES, total.write_bytes // _SECTOR_BYTES)
        self.tree.disks({"vda": sectors})

    @contextmanager
    def running(self) -> Iterator[Machine]:
        """Let time pass in the background."""
        self.step(0.0)
        stop = threading.Event()

        def run() -> None:
            at_s = time.monotonic()
            while not stop.wait(_STEP_S):
                now_s = time.monotonic()
                self.step(now_s - at_s)
                at_s = now_s

        thread = threading.Thread(target=run, name="kernel")
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()
