"""Boot the node as a virtual machine: QEMU without an accelerator, over the drill's own disk.

What is written goes to a file of QEMU's that has no name; the disk's image stays as it was.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from tests.lab import runs
from tests.lab.disk.base import ensure_disk
from tests.lab.image import LabUnavailable, ensure_rootfs
from tests.lab.vm import code, initrd
from tests.lab.vm.door import Door
from tests.lab.vm.kernel import ensure_kernel
from tests.lab.vm.monitor import Monitor, ThrottledDisk

QEMU = "qemu-system-x86_64"
_UP = ("running", "degraded")
_BOOT_S = 240.0
_NETWORK = "ip link set lo up; ip link set eth0 up; ip addr replace 10.0.2.15/24 dev eth0"
HOST = "10.0.2.2"
"""Where the machine finds this machine's loopback; it knows no way to anywhere else."""
_CMDLINE = (
    "console=ttyS0 panic=-1 quiet rdinit=/init systemd.show_status=0 mitigations=off"
    " apparmor=0"  # docker would want its parser
)


class Machine:
    """A booted machine with the ways of a `Box`; use as a context manager."""

    def __init__(self, cache: Path, *, memory_mb: int = 1024, processors: int = 2) -> None:
        """Prepare kernel and disks; nothing runs yet. Raises LabUnavailable with what is amiss."""
        if not shutil.which(QEMU):
            raise LabUnavailable(f"missing: {QEMU} (apt-get install qemu-system-x86)")
        self._base = ensure_disk(cache)
        rootfs = ensure_rootfs(cache)
        kernel = ensure_kernel(cache, rootfs)
        self._kernel = kernel
        self._size = (memory_mb, processors)
        self._run = runs.start(cache)
        atexit.register(self.close)
        code.build(self._folder / "code.img", kernel, rootfs)
        first = initrd.packed(kernel, rootfs / "bin/busybox")
        (self._folder / "initrd").write_bytes(first)
        self._process: subprocess.Popen[bytes] | None = None
        self._door: Door | None = None
        self._monitor: Monitor | None = None

    def __enter__(self) -> Self:
        """Boot the machine and return it."""
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        """Turn it off and remove what it left."""
        self.close()

    @property
    def disk(self) -> ThrottledDisk:
        """The disk that everything of the node lies on."""
        if self._monitor is None:
            raise RuntimeError("the machine is down")
        return ThrottledDisk(self._monitor)

    def boot(self) -> None:
        """Start the machine and wait until its systemd says it is up."""
        self._process = self._spawn()
        until_s = time.monotonic() + _BOOT_S
        self._monitor = Monitor(self._socket("monitor", until_s))
        self._door = Door(self._socket("door", until_s))
        self._await_up(until_s)

    def reboot(self) -> None:
        """Reboot the machine from inside, in order, and wait until it is up again."""
        self._down_and_up(lambda: self.sh("systemctl reboot"))

    def lose_power(self) -> None:
        """Reset the machine in the middle of whatever it does; what was not flushed is lost."""
        monitor = self._monitor
        if monitor is None:
            raise RuntimeError("the machine is down")
        self._down_and_up(lambda: monitor.do("system_reset"))

    def _down_and_up(self, end: Callable[[], object]) -> None:
        if self._door is None:
            raise RuntimeError("the machine is down")
        self._door.open.clear()
        end()
        self._await_up(time.monotonic() + _BOOT_S)

    def _await_up(self, until_s: float) -> None:
        door, process = self._door, self._process
        while door and process and process.poll() is None and time.monotonic() < until_s:
            if door.open.wait(1.0):
                self.sh("systemctl is-system-running --wait", max(1.0, until_s - time.monotonic()))
                if self.sh("systemctl is-system-running").stdout.strip() in _UP:
                    self.check(_NETWORK)
                    return
        raise RuntimeError(f"the machine did not come up:\n{self._console()}")

    def enter(
        self, argv: Sequence[str], timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine, as root."""
        if self._door is None:
            return subprocess.CompletedProcess(list(argv), 125, "", "the machine is down")
        return self._door.ask(argv, timeout_s)

    def sh(self, script: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a shell script in the machine."""
        return self.enter(["/bin/sh", "-c", script], timeout_s)

    def check(self, script: str, timeout_s: float = 60.0) -> str:
        """Run a shell script in the machine that must succeed; return what it printed."""
        done = self.sh(script, timeout_s)
        if done.returncode:
            said = f"{done.stdout[-1000:]}{done.stderr[-3000:]}"
            raise RuntimeError(f"in the machine: {script!r} -> {done.returncode}: {said}")
        return done.stdout

    def read(self, path: Path) -> str:
        """Return a file by its path below the machine's root; starts no process there."""
        if self._door is None:
            raise OSError("the machine is down")
        return self._door.read(path)

    def close(self) -> None:
        """Turn the machine off and remove everything it left; safe to call twice."""
        atexit.unregister(self.close)
        for line in (self._door, self._monitor):
            if line is not None:
                line.close()
        self._door = self._monitor = None
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._run.remove()

    @property
    def _folder(self) -> Path:
        return self._run.path

    def _socket(self, name: str, until_s: float) -> Path:
        path = self._folder / name
        while not path.exists():
            if time.monotonic() > until_s or self._process is None or self._process.poll():
                raise RuntimeError(f"qemu did not start:\n{self._console()}")
            time.sleep(0.1)
        return path

    def _console(self) -> str:
        return (self._folder / "console.log").read_text(errors="replace")[-3000:]

    def _spawn(self) -> subprocess.Popen[bytes]:
        memory_mb, processors = self._size
        drives = (
            ("vda", self._base, "snapshot=on"),
            ("vdb", self._folder / "code.img", "readonly=on"),
        )
        argv = [
            "setpriv", "--pdeathsig", "KILL", QEMU, "-accel", "tcg", "-cpu", "max",
            "-m", str(memory_mb), "-smp", str(processors), "-nodefaults",
            "-display", "none", "-serial", "stdio",
            "-netdev", "user,id=net,ipv6=off", "-device", "virtio-net-pci,netdev=net,romfile=",
            "-kernel", str(self._kernel.image), "-initrd", str(self._folder / "initrd"),
            "-append", _CMDLINE,
            "-qmp", f"unix:{self._folder}/monitor,server=on,wait=off",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=door,path={self._folder}/door,server=on,wait=off",
            "-device", "virtserialport,nr=1,chardev=door,name=door",
        ]  # fmt: skip
        for name, image, how in drives:
            argv += ["-drive", f"file={image},if=none,id=d{name},format=raw,cache=unsafe,{how}"]
            argv += ["-device", f"virtio-blk-pci,drive=d{name},id={name}"]
        with (self._folder / "console.log").open("ab") as console:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, cwd=self._folder,
                start_new_session=True,
            )  # fmt: skip
