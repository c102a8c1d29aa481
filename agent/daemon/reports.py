"""The whole report of an incident as a page, made by a short-lived process when somebody asks.

One at a time, bounded in time and memory; a page that was made is kept beside the incidents until
the incident changes, so that a second visitor costs nothing. The agent itself loads none of it.
"""

from __future__ import annotations

import subprocess  # noqa: TID251 - the one process that makes a page, and never while one is made
import threading
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from agent.daemon.listener import Answer
from agent.daemon.store import Store
from agent.journal.live import isolated_python

MOST_KEPT = 8  # pages of 0.3 MB at most; the state directory often lies in memory
MOST_BYTES = 32 << 20  # of the process' own data
NEEDS_BYTES = 20 << 20  # 18 were measured: an hour of 110 pods
LONGEST_S = 60.0
WAIT_S = 8.0  # for a page that is being made, before one is told to ask again
_AGAIN_S, _AGAIN_AFTER_A_FAULT_S = 3, 60
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "LC_ALL": "C.UTF-8"}
_HTML, _TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
_POLICY = {"Content-Security-Policy": "sandbox allow-scripts; frame-ancestors 'none'"}
_BOOT = """
import sys
sys.path.append(sys.argv[1])
from agent.daemon.modest import step_back
step_back(int(sys.argv[2]))
from agent.daemon.rendering import main
sys.exit(main(sys.argv[3:]))
"""

Render = Callable[[bytes, Path], str]  # of a packed Diagnosis to a page; gives what went wrong


@dataclass(slots=True)
class _Making:
    page: Path
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Reports:
    """Pages of whole reports, for any thread to ask for."""

    folder: Path
    store: Store
    render: Render
    spare: Callable[[], int | None]
    made: Callable[[str], None]  # told of every attempt: "made", "failed" or "refused"
    steady: Callable[[], float] = monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _making: _Making | None = None
    _faults: dict[Path, tuple[str, float]] = field(default_factory=dict)  # and until when it counts

    def answer(self, incident: str) -> Answer | None:
        """Give the page of an incident, or when to ask again; None where there is no incident."""
        raw = self.store.diagnosis(incident)
        if raw is None:
            known = self.store.document(incident) is not None
            return _said(404, "of this incident no whole diagnosis was kept") if known else None
        page = self.folder / f"{incident}-{zlib.crc32(raw):08x}.html"
        if page.is_file():
            return _shown(page)
        making = self._begin(page, raw)
        if isinstance(making, Answer):
            return making
        if making.page != page or not making.done.wait(WAIT_S):
            return _later("a report is being made; this page asks again by itself", _AGAIN_S)
        return _shown(page) if page.is_file() else self._failed(page)

    def _begin(self, page: Path, raw: bytes) -> _Making | Answer:
        """Begin to make a page, unless one is being made, or there is a reason not to."""
        with self._lock:
            if self._making is not None:
                return self._making
            if page in self._faults:
                if self.steady() < self._faults[page][1]:
                    return self._failed(page)
                del self._faults[page]
            spare = self.spare()
            if spare is not None and spare < NEEDS_BYTES:
                self.made("refused")
                return _later(
                    f"a report takes {NEEDS_BYTES >> 20} MiB, of which this agent's memory limit "
                    f"leaves {spare >> 20}; have it made on your machine: knockon why",
                    _AGAIN_AFTER_A_FAULT_S,
                )
            making = self._making = _Making(page)
        threading.Thread(target=self._make, args=(making, raw), name="report", daemon=True).start()
        return making

    def _make(self, making: _Making, raw: bytes) -> None:
        page = making.page
        try:
            fault = self.render(raw, page)
            if not fault and not page.is_file():
                fault = "no page came of it"
            self._clear_away(page)
        except OSError as error:
            fault = error.strerror or str(error)
        with self._lock:
            self._making = None
            if fault:
                if len(self._faults) > MOST_KEPT:
                    self._faults.clear()
                self._faults[page] = (fault, self.steady() + _AGAIN_AFTER_A_FAULT_S)
        self.made("failed" if fault else "made")
        making.done.set()

    def _failed(self, page: Path) -> Answer:
        fault, _ = self._faults.get(page, ("it was cleared away", 0.0))
        return _later(f"the report could not be made: {fault[:300]}", _AGAIN_AFTER_A_FAULT_S)

    def _clear_away(self, page: Path) -> None:
        """Keep the newest pages only, and of one incident only the last."""
        with suppress(OSError):
            for half in self.folder.glob("*.half"):  # of a process that was ended
                half.unlink(missing_ok=True)
            incident = page.name.partition("-")[0]
            pages = sorted(self.folder.glob("*.html"), key=lambda one: -one.stat().st_mtime)
            others = [one for one in pages if one != page]
            for n, one in enumerate(others):
                if n + 1 >= MOST_KEPT or one.name.startswith(f"{incident}-"):
                    one.unlink(missing_ok=True)


def rendered(ring: Path | None) -> Render:
    """Give what makes a page, in a process of its own, from a Diagnosis and this ring."""

    def render(raw: bytes, page: Path) -> str:
        page.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        words = render_command([str(ring or ""), str(page)])
        try:
            done = subprocess.run(  # noqa: S603 - our own module
                words,
                input=raw,
                capture_output=True,
                env=_ENVIRONMENT,
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it was not done within {LONGEST_S:.0f} s"
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return said or f"its process ended with {done.returncode}" if done.returncode else ""

    return render


def render_command(words: Sequence[str]) -> list[str]:
    """How the process is started: isolated, and without ``site``, for it needs nothing but us."""
    folder = str(Path(__file__).parent.parent.parent)
    return [*isolated_python(), "-c", _BOOT, folder, str(MOST_BYTES), *words]


def _shown(page: Path) -> Answer:
    return Answer(200, _HTML, b"", _POLICY, file=page)


def _later(why: str, after_s: int) -> Answer:
    again = {"Retry-After": str(after_s), "Refresh": str(after_s)}
    return Answer(503, _TEXT, f"{why[0].upper()}{why[1:]}.\n".encode(), again)


def _said(status: int, what: str) -> Answer:
    return Answer(status, _TEXT, f"{what[0].upper()}{what[1:]}.\n".encode())
