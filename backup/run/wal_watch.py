"""Whether the server will still have the WAL that `--wal fetch` asks for at the end.

With ``fetch`` nothing holds WAL back but ``wal_keep_size``: the server sends it last, from the
backup's start on, and fails at the very end when some of it is recycled. The server never says so
beforehand; but it says where it writes, and that tells when the oldest piece may go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from backup.exits import Failure
from backup.postgres.session import Session
from backup.postgres.wal import lsn_number

AHEAD_S = 3600.0
"""Said an hour ahead, so that a busier hour still leaves half of it."""

LEARN_S = 30.0
_EVERY_S = 10.0


@dataclass(slots=True)
class Runway:
    """How long ``wal_keep_size`` lasts at the rate at which WAL was written so far."""

    start_lsn: int
    keep_bytes: int
    began_s: float
    _said: set[str] = field(default_factory=set)

    def check(self, now_s: float, written_lsn: int, done_share: float) -> str:
        """Return what is new to say, or nothing; ``done_share`` of the backup, 0 to 1."""
        written = max(0, written_lsn - self.start_lsn)
        passed_s = now_s - self.began_s
        if written > self.keep_bytes:
            return self._once(
                "over",
                f"more WAL was written ({written / 1e9:.1f} GB) than wal_keep_size holds "
                f"({self.keep_bytes / 1e9:.1f} GB): the server may have recycled what this backup "
                "needs, and would then fail it at its end; --wal stream holds it",
            )
        if passed_s < LEARN_S or not written:
            return ""
        left_s = (self.keep_bytes - written) * passed_s / written
        if left_s > AHEAD_S or _ends_within(left_s, passed_s, done_share):
            return ""
        return self._once(
            "ahead",
            f"in {left_s / 60:.0f} min the server may recycle WAL that this backup needs: "
            f"wal_keep_size is {self.keep_bytes / 1e9:.1f} GB, {written / passed_s / 1e6:.1f} MB/s "
            "are written; raise it now (a reload is enough), or run again with --wal stream",
        )

    def _once(self, kind: str, sentence: str) -> str:
        if kind in self._said:
            return ""
        self._said.add(kind)
        return sentence


def _ends_within(left_s: float, passed_s: float, done_share: float) -> bool:
    return done_share > 0 and passed_s * (1 - done_share) / done_share < left_s


class WalWatch:
    """Asks the server where it writes, over a connection and a thread of its own.

    ``news`` is given that position and returns a sentence to say, or nothing.
    """

    def __init__(
        self,
        session: Session,
        news: Callable[[int], str],
        say: Callable[[str], None],
        every_s: float = _EVERY_S,
    ) -> None:
        self._session, self._news, self._say = session, news, say
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wal-watch", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and the connection."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(10)
        self._session.close()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self._every_s):
                if news := self._news(lsn_number(self._session.identify().lsn)):
                    self._say(news)
        except Failure as failure:
            if not self._stopping.is_set():
                self._say(f"no longer watching the server's WAL: {failure.message}")
