"""Keep our own pages in memory: on a node that thrashes, a page fault would wait for the disk."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path

_CAP_IPC_LOCK = 14
_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4  # MCL_* of every Linux architecture but alpha, ppc, sparc


def lock_memory() -> str:
    """Lock what is resident and what will be; return why not, or an empty string.

    ``MCL_ONFAULT`` (Linux 4.4) leaves out what nobody touched, so that locking costs no memory.
    Under a limit (RLIMIT_MEMLOCK without CAP_IPC_LOCK) the lock might succeed now and make a later
    allocation fail, so it is not even tried then: the agent goes on unlocked.
    """
    if not _unlimited():
        return "memory is not locked: neither CAP_IPC_LOCK nor an unlimited RLIMIT_MEMLOCK"
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mlockall(_CURRENT | _FUTURE | _ON_FAULT)
    except (OSError, AttributeError) as error:
        return f"memory is not locked: {error}"
    return f"memory is not locked: {os.strerror(ctypes.get_errno())}" if failed else ""


def _unlimited() -> bool:
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
        effective = int(status.partition("CapEff:")[2].split()[0], 16)
    except (OSError, ValueError, IndexError):
        return False
    return bool(effective >> _CAP_IPC_LOCK & 1)


def unlock_memory() -> None:
    """Undo ``lock_memory``."""
    ctypes.CDLL(None).munlockall()
