"""A node's /proc and /sys as plain files: both cgroup versions, both drivers, three runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

UID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
STATIC_UID = "5f8a0c1b2d3e4f5061728394a5b6c7d8"  # a static pod's uid is a hash without dashes
_SCOPES = {"docker": "docker-", "containerd": "cri-containerd-", "crio": "crio-"}
_V1 = ("cpu,cpuacct", "blkio", "memory", "systemd")


def uid(number: int) -> str:
    """A uid nobody else has."""
    return f"{number:08x}-1111-4222-8333-{number:012x}"


def container(number: int) -> str:
    """A container id nobody else has."""
    return f"{number:012x}{0:052x}"  # told apart by the first twelve digits, as people do


@dataclass(frozen=True, slots=True)
class Use:
    """What one control group has used so far."""

    cpu_us: int = 0
    throttled_us: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    reads: int = 0
    writes: int = 0
    memory_bytes: int = 0
    refaults: int = 0
    major_faults: int = 0
    stalled_us: int = 0

    def more(self, **grown: int) -> Use:
        """The same, later."""
        return replace(self, **{name: getattr(self, name) + by for name, by in grown.items()})


@dataclass(slots=True)
class NodeTree:
    """Writes the files; a file that is written again stays the same file."""

    root: Path
    version: str = "v2"  # v1, v2, hybrid
    driver: str = "systemd"
    runtime: str = "containerd"
    recursive: bool = True  # v1: whether the kernel adds up the I/O of what lies below

    def __post_init__(self) -> None:
        cgroup = self.root / "sys/fs/cgroup"
        cgroup.mkdir(parents=True, exist_ok=True)
        if self.version == "v2":
            (cgroup / "cgroup.controllers").write_text("cpu io memory pids\n")
        else:
            for name in (*_V1, *(["unified"] if self.version == "hybrid" else [])):
                (cgroup / name).mkdir(exist_ok=True)
        self.pressure()
        self.memory()
        self.disks({"vda": (1000, 2000)})

    def pressure(
        self, io_us: int = 0, cpu_us: int = 0, memory_us: int = 0, io_pct: float = 1.25
    ) -> None:
        """Write the node's three pressure files."""
        folder = self.root / "proc/pressure"
        folder.mkdir(parents=True, exist_ok=True)
        for name, total in (("io", io_us), ("cpu", cpu_us), ("memory", memory_us)):
            _write(folder / name, pressure_text(total, io_pct if name == "io" else 1.25))

    def memory(self, available_kib: int = 4_000_000, refaults: int = 0) -> None:
        """Write meminfo and vmstat."""
        text = (
            f"MemTotal:  8000000 kB\nMemFree:  100 kB\nMemAvailable:  {available_kib} kB\n"
            "Dirty:  120 kB\nWriteback:  8 kB\nWritebackTmp:  0 kB\n"
        )
        _write(self.root / "proc/meminfo", text)
        filler = "".join(f"nr_something_{n} {n}\n" for n in range(150))
        faults = f"pgmajfault 77\nworkingset_refault_anon 1\nworkingset_refault_file {refaults}\n"
        _write(self.root / "proc/vmstat", filler + faults)

    def disks(self, sectors: Mapping[str, tuple[int, int]]) -> None:
        """Write diskstats with a partition, a loop and a RAM disk beside the disks given."""
        lines = ["   1       0 ram0 5 0 5 0 5 0 5 0 0 0 0", "   7       0 loop0 " + "0 " * 11]
        for number, (name, (read, written)) in enumerate(sectors.items()):
            (self.root / "sys/block" / name / "slaves").mkdir(parents=True, exist_ok=True)
            numbers = f"{read // 8} 0 {read} 3 {written // 8} 0 {written} 4 0 {read // 100} 9"
            lines += [
                f" 254 {16 * number} {name} {numbers}",
                f" 254 {16 * number + 1} {name}1 {numbers}",
            ]
        _write(self.root / "proc/diskstats", "\n".join(lines) + "\n")

    def pod_path(self, pod_uid: str = UID, qos: str = "burstable") -> str:
        """Where the kubelet puts a pod."""
        if self.driver == "cgroupfs":
            middle = "" if qos == "guaranteed" else f"{qos}/"
            return f"kubepods/{middle}pod{pod_uid}"
        name = pod_uid.replace("-", "_")
        if qos == "guaranteed":
            return f"kubepods.slice/kubepods-pod{name}.slice"
        return f"kubepods.slice/kubepods-{qos}.slice/kubepods-{qos}-pod{name}.slice"

    def container_path(self, pod_path: str, container_id: str) -> str:
        """Where the runtime puts a container of a pod."""
        if self.driver == "systemd":
            return f"{pod_path}/{_SCOPES[self.runtime]}{container_id}.scope"
        prefix = "crio-" if self.runtime == "crio" else ""
        return f"{pod_path}/{prefix}{container_id}"

    def write(self, path: str, use: Use) -> None:
        """Write all files of one control group."""
        cgroup = self.root / "sys/fs/cgroup"
        if self.version == "v2":
            _files(cgroup / path, _v2(use))
            return
        (cgroup / "systemd" / path).mkdir(parents=True, exist_ok=True)
        below = ("", "_recursive") if self.recursive else ("",)
        _files(cgroup / "cpu,cpuacct" / path, _v1_cpu(use))
        _files(cgroup / "blkio" / path, _v1_io(use, below))
        _files(cgroup / "memory" / path, _v1_memory(use))
        if self.version == "hybrid":
            _files(cgroup / "unified" / path, {"io.pressure": pressure_text(use.stalled_us)})


def pressure_text(total_us: int, some_pct: float = 1.25) -> str:
    """A pressure file."""
    return (
        f"some avg10={some_pct:.2f} avg60=0.50 avg300=0.10 total={total_us}\n"
        f"full avg10=0.75 avg60=0.20 avg300=0.05 total={total_us // 2}\n"
    )


def _v2(use: Use) -> dict[str, str]:
    filler = "".join(f"some_counter_{n} {n * 4096}\n" for n in range(40))
    return {
        "cpu.stat": f"usage_usec {use.cpu_us}\nuser_usec 1\nsystem_usec 2\nnr_periods 3\n"
        f"nr_throttled 4\nthrottled_usec {use.throttled_us}\n",
        "io.stat": f"254:0 rbytes={use.read_bytes} wbytes={use.write_bytes} rios={use.reads} "
        f"wios={use.writes} dbytes=0 dios=0\n",
        "memory.current": f"{use.memory_bytes}\n",
        "memory.stat": f"anon 4096\nfile 8192\n{filler}workingset_refault_anon 0\n"
        f"workingset_refault_file {use.refaults}\npgfault 9\npgmajfault {use.major_faults}\n",
        "cpu.pressure": pressure_text(use.stalled_us),
        "io.pressure": pressure_text(use.stalled_us),
        "memory.pressure": pressure_text(use.stalled_us),
    }


def _v1_cpu(use: Use) -> dict[str, str]:
    return {
        "cpuacct.usage": f"{use.cpu_us * 1000}\n",
        "cpu.stat": f"nr_periods 3\nnr_throttled 4\nthrottled_time {use.throttled_us * 1000}\n",
    }


def _v1_io(use: Use, below: tuple[str, ...]) -> dict[str, str]:
    counted = {"io_service_bytes": (use.read_bytes, use.write_bytes)}
    counted["io_serviced"] = (use.reads, use.writes)
    return {
        f"blkio.throttle.{name}{suffix}": f"254:0 Read {r}\n254:0 Write {w}\n254:0 Sync 0\n"
        f"254:0 Async 0\n254:0 Discard 0\n254:0 Total {r + w}\nTotal {r + w}\n"
        for name, (r, w) in counted.items()
        for suffix in below
    }


def _v1_memory(use: Use) -> dict[str, str]:
    return {
        "memory.usage_in_bytes": f"{use.memory_bytes}\n",
        "memory.stat": "cache 1\nrss 2\npgmajfault 1\nworkingset_refault_file 1\ntotal_cache 1\n"
        f"total_pgmajfault {use.major_faults}\ntotal_workingset_refault_file {use.refaults}\n",
    }


def _files(folder: Path, texts: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        _write(folder / name, text)


def _write(path: Path, text: str) -> None:
    """Replace the content in place: who reads meanwhile never finds the file empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(text.encode())
        file.truncate()
