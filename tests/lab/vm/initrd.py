"""The first file system: a busybox, the drivers of the disks, and the script that finds the rest.

It is written here as a ``newc`` archive (the kernel's early-userspace/buffer-format.rst), which is
simple; an initramfs tool would look at this machine instead of that one.
"""

from __future__ import annotations

import stat
from pathlib import Path

from tests.lab.vm.kernel import Kernel

_DRIVERS = (
    "virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
    "virtio_blk",
)  # fmt: skip
_FOLDERS = ("dev", "proc", "sys", "bin", "disk", "code", "node")
_INIT = Path(__file__).with_name("guest") / "init"


def packed(kernel: Kernel, busybox: Path) -> bytes:
    """Return the archive that the kernel unpacks as its first root."""
    members = [_member(name, stat.S_IFDIR | 0o755, b"") for name in _FOLDERS]
    members.append(_member("init", stat.S_IFREG | 0o755, _INIT.read_bytes()))
    members.append(_member("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes()))
    for number, name in enumerate(_DRIVERS):
        driver = next(kernel.modules.rglob(f"{name}.ko"), None)
        if driver is not None:  # a kernel may have it built in
            members.append(
                _member(f"{number}-{name}.ko", stat.S_IFREG | 0o644, driver.read_bytes())
            )
    members.append(_member("TRAILER!!!", 0, b""))
    return b"".join(members)


def _member(name: str, mode: int, content: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    numbers = [0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + encoded
    return _filled(head) + _filled(content)


def _filled(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
