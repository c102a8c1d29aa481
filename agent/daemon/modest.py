"""A process that works beside the agent and must not be felt: last in every queue, and bounded."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

CPU_S = 30
_GIVES_WAY_TO_ALL = 19
_FIRST_TO_GO = "1000"


def step_back(most_bytes: int) -> None:
    """Give way to everybody, and use no more than so much memory and 30 s of a processor."""
    os.nice(_GIVES_WAY_TO_ALL)
    with suppress(OSError):  # if somebody must go for want of memory, then it is not the agent
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, "ascii")
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
