"""How much memory the agent's own container has left: what a process beside it may take.

Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. Pages of files on a disk do not
count, for the kernel takes those back first; pages on a tmpfs do.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from agent.recorder.keptfile import number_after

HERE = Path("/sys/fs/cgroup")
_LIMIT_AND_USE = (
    ("memory.max", "memory.current", "memory.stat"),
    *(
        (f"{folder}memory.limit_in_bytes", f"{folder}memory.usage_in_bytes", f"{folder}memory.stat")
        for folder in ("memory/", "")
    ),
)
_NO_LIMIT = 1 << 60  # cgroup v1 writes a number near 2^63
_TAKEN_BACK = (b"\ninactive_file ", b"\nactive_file ")


def spare_bytes(group: Path = HERE) -> int | None:
    """Give the bytes between what is used and the limit; None where no limit is to be seen."""
    for names in _LIMIT_AND_USE:
        with suppress(OSError, ValueError):
            limit, used, stat = ((group / name).read_bytes() for name in names)
            most = int(limit) if limit.strip() != b"max" else _NO_LIMIT
            if most >= _NO_LIMIT:
                return None
            cached = sum(number_after(b"\n" + stat, name, 0) for name in _TAKEN_BACK)
            return max(0, most - max(0, int(used) - cached))
    return None
