"""What can go wrong at an API server, and a list of when it will."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum


class Wrong(StrEnum):
    """One way to fail. The lower ones are for a watch, after ``after`` lines of it."""

    STATUS = "status"  # an error status at once; ``status``, ``retry_after``, ``message``
    DRIP = "drip"  # a body that never stops dripping
    TORN = "torn"  # half of a body
    NOT_JSON = "not_json"
    HUGE = "huge"  # a body of 40 MB
    SILENCE = "silence"  # a socket on which nothing comes any more
    RESET = "reset"
    DROP_AFTER = "drop_after"  # the work is done, but the answer is lost
    GONE = "gone"  # 410 as a line of the watch
    ERROR = "error"  # 500 as a line of the watch
    HALF_LINE = "half_line"
    LONG_LINE = "long_line"  # 10 MB
    END = "end"  # a clean end, as proxies do it


@dataclass(slots=True)
class Fault:
    """Something to go wrong ``times`` times with requests of a verb (and resource)."""

    wrong: Wrong
    verb: str = ""
    resource: str = ""
    times: int = 1
    after: int = 0
    status: int = 0
    retry_after: str = ""
    message: str = "as told by the test"


@dataclass(slots=True)
class Faults:
    """The script: faults are taken in order by the first request that fits."""

    waiting: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *faults: Fault) -> None:
        """Append to the script."""
        with self.lock:
            self.waiting.extend(faults)

    def take(self, verb: str, resource: str) -> Fault | None:
        """The next fault for such a request, if one waits."""
        with self.lock:
            for fault in self.waiting:
                if fault.verb in ("", verb) and fault.resource in ("", resource):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.waiting.remove(fault)
                    return fault
        return None
