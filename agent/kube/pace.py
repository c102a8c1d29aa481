"""How fast we may go towards the API server: back-off, a token bucket, and a clock to wait by."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_S, LONGEST_S = 1.0, 60.0
_ROUNDING = 1e-3  # of a token: a clock of Unix seconds cannot move by less than 0.2 µs
LONGEST_ASKED_S = 600.0
"""The longest ``Retry-After`` that is honoured; beyond it a proxy is talking nonsense."""


def backoff_s(failures: int, luck: float, asked_s: float = 0.0) -> float:
    """Seconds until the next try after so many failures in a row; ``luck`` in 0..1 spreads nodes.

    Doubles from one second to a minute, between half and one and a half of it. What the server
    asked for is a floor, never shortened by luck.
    """
    if failures <= 0:
        return 0.0
    plain_s = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 16))
    jittered_s = plain_s * (0.5 + luck)
    return max(jittered_s, min(asked_s, LONGEST_ASKED_S) * (1.0 + luck / 4))


@dataclass(slots=True)
class Bucket:
    """A token bucket: ``burst`` at once, ``per_s`` on average. Time is an argument."""

    burst: float
    per_s: float
    tokens: float = field(init=False)
    filled_at_s: float | None = None

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def short_of_s(self, now_s: float) -> float:
        """Seconds until a token is there; zero: take one now."""
        if self.filled_at_s is not None:  # a clock set back fills nothing and takes nothing
            gained = max(0.0, now_s - self.filled_at_s) * self.per_s
            self.tokens = min(self.burst, self.tokens + gained)
        self.filled_at_s = now_s
        missing = 1.0 - self.tokens
        return 0.0 if missing < _ROUNDING else missing / self.per_s

    def take(self) -> None:
        """Spend one token."""
        self.tokens -= 1.0


@dataclass(frozen=True, slots=True)
class Clockwork:
    """Time for a source that waits: what time it is, how to wait, and its share of luck."""

    now_s: Callable[[], float]
    wait: Callable[[float], bool]  # True: we are to stop
    luck: Callable[[], float]


def real_clockwork(stop: threading.Event, seed: int | None = None) -> Clockwork:
    """The machine's clock; waiting ends when ``stop`` is set."""
    now_s = time.time  # noqa: TID251 - this is the edge that reads the clock
    return Clockwork(now_s, stop.wait, random.Random(seed).random)
