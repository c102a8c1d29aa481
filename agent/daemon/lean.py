"""Keeps the agent small: glibc gives every thread 64 MiB of room of its own unless told not to."""

from __future__ import annotations

import ctypes
import gc

_M_ARENA_MAX, _M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -8, -1, -3  # malloc.h


def few_arenas() -> None:
    """Let all threads share one heap, which is given back as soon as its end is free."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has neither arenas nor mallopt
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_TRIM_THRESHOLD, 128 << 10)
    mallopt(_M_MMAP_THRESHOLD, 128 << 10)


def settle_down() -> None:
    """Give back what only starting needed, and leave what stays out of every collection."""
    gc.collect()
    gc.freeze()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return
