"""One run at a time in a cluster: a Lease held beside the store's lock, where it is asked for.

The store's lock keeps two runs out of one place; a Lease also keeps runs into different places
from reading one node's disk at the same time. An API server that goes away stops no backup: the
store's lock is still held, and the Lease is looked at again once the server answers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from agent.errors import UserError
from agent.fleet.election import Election
from agent.fleet.leases import Lease, LeaseRefused, Leases
from agent.kube.access import Access
from agent.kube.http import Api
from agent.printable import safe
from agent.sources.untyped import text, whole
from agent.times import parse, span
from backup.exits import Exit, Failure

LIFE_S = 60.0
EVERY_S = LIFE_S / 4
_LOOK_S = 5.0
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_OURS_TO_MEND = ("401", "403", "404", "422")  # statuses; others may be gone on the next try


class Held:
    """A Lease of ours, or on the way to be."""

    def __init__(
        self, leases: Leases, identity: str, clock: Callable[[], float], life_s: float = LIFE_S
    ) -> None:
        self._leases = leases
        self._clock = clock
        self._life_s = life_s
        self._election = Election(leases, identity, life_s, time.monotonic, clock)

    def acquire(self, sleep: Callable[[float], None]) -> None:
        """Take it, or fail with one line that says who has it.

        One that has run out by this machine's clock is also watched for as long as it lasts: a
        clock that is wrong here cannot take it from somebody who renews it.
        """
        try:
            self._contend(sleep)
        except Failure:
            self._leases.api.close()
            raise

    def _contend(self, sleep: Callable[[float], None]) -> None:
        first: str | None = None
        while not self._election.step():
            if self._election.why:
                raise self._refused(self._election.why)
            seen = self._read()
            holder, renewed = text(seen, "spec", "holderIdentity"), text(seen, "spec", "renewTime")
            first = renewed if first is None else first
            left_s = self._left_s(seen)
            if holder and (left_s > 0 or renewed != first):
                raise Failure(
                    f"another run holds the Lease {self._leases.name}: {safe(holder, 120)}",
                    f"if it is dead, the Lease is free in {span(max(left_s, 0.0) + self._life_s)}",
                    Exit.LOCKED,
                )
            sleep(min(_LOOK_S, self._life_s / 4))

    def renew(self, now_s: float) -> None:  # noqa: ARG002 - the election has its own clock
        """Prolong it, or fail because somebody else has it now."""
        # An answer that got lost looks like a defeat once; the next look finds us as the holder.
        if self._election.step() or self._election.why or self._election.step():
            return
        if not self._election.why:
            raise Failure(
                f"the Lease {self._leases.name} was taken from us: we were silent for too long",
                "nothing was published; was this machine suspended, or the API server away?",
                Exit.LOCKED,
            )

    def release(self) -> str:
        """Let go, so that the next need not wait; it runs out by itself where nobody answers."""
        self._election.resign()
        self._leases.api.close()
        return ""

    def _read(self) -> Lease:
        try:
            return self._leases.read() or {}
        except LeaseRefused as refused:
            raise self._refused(str(refused)) from None

    def _refused(self, why: str) -> Failure:
        mend = why.startswith(_OURS_TO_MEND)
        return Failure(
            f"the Lease {self._leases.name} cannot be held: {safe(why, 200)}",
            "the pod's account needs `create` on leases, and `get` and `update` on this one"
            if mend
            else "is the API server up? without --lease only the store's lock is kept",
            Exit.USER_ERROR if mend else Exit.FAILED,
        )

    def _left_s(self, lease: Lease) -> float:
        """Return for how long it binds yet, by this machine's clock."""
        try:
            renewed_s = parse(text(lease, "spec", "renewTime"))
        except ValueError:
            return 0.0
        return renewed_s + (whole(lease, "spec", "leaseDurationSeconds") or LIFE_S) - self._clock()


def lease_of(access: Access, name: str, identity: str, clock: Callable[[], float]) -> Held:
    """Return the Lease of this name in the namespace that we run in."""
    return Held(Leases(Api(access), access.namespace, name), identity, clock)


def checked_name(name: str) -> str:
    """Return a Lease's name as the API server would take it.

    >>> checked_name("pg-main")
    'pg-main'
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{safe(name)!r} cannot name a Lease", "lower-case letters, digits, '-' and '.'"
        )
    return name
