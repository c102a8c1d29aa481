"""One leader at a time, by a Lease (`coordination.k8s.io/v1`).

Whoever finds the Lease unchanged for longer than it lasts takes it over; a replace under the
version that was read lets only one of many succeed. Foreign clocks are never compared with ours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.fleet.leases import Lease, LeaseRefused, Leases
from agent.sources.untyped import mapping, text, whole
from agent.times import rfc3339


@dataclass(slots=True)
class Election:
    """The candidacy of one process."""

    leases: Leases
    identity: str
    lease_s: float
    steady_s: Callable[[], float]
    now_s: Callable[[], float]
    why: str = ""  # what went wrong last
    _seen: tuple[object, ...] = ()
    _seen_at_s: float = field(default=0.0)
    _renewed_at_s: float = field(default=float("-inf"))
    _lock: threading.Lock = field(default_factory=threading.Lock)  # one question at a time

    @property
    def leads(self) -> bool:
        """Whether we may still act: two thirds of the Lease have not passed since it was ours."""
        return self.steady_s() - self._renewed_at_s < self.lease_s * 2 / 3

    def step(self) -> bool:
        """Take or renew the Lease if that is possible; true when it is ours now."""
        with self._lock:
            asked_s = self.steady_s()
            try:
                ours = self._taken(asked_s)
            except LeaseRefused as refused:
                self.why = str(refused)[:300]
                return False
            self.why = ""
            if ours:
                self._renewed_at_s = asked_s  # before the request: the server may have been slow
            return ours

    def resign(self) -> None:
        """Let go, so that another replica need not wait; who cannot say so is waited for."""
        with self._lock:
            if not self.leads:
                return
            self._renewed_at_s = float("-inf")
            try:
                lease = self.leases.read()
                if lease is not None and _holder(lease) == self.identity:
                    self.leases.replace(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})
            except LeaseRefused as refused:
                self.why = str(refused)[:300]

    def _taken(self, at_s: float) -> bool:
        lease = self.leases.read()
        if lease is None:
            first = {"acquireTime": self._now(), "leaseTransitions": 0}
            return self.leases.create(first | self._ours())
        spec = mapping(lease, "spec")
        transitions = whole(spec, "leaseTransitions") or 0
        seen = (_holder(lease), text(spec, "renewTime"), transitions)
        if seen != self._seen:
            self._seen, self._seen_at_s = seen, at_s
        lasts_s = float(whole(spec, "leaseDurationSeconds") or self.lease_s)
        theirs = _holder(lease) not in ("", self.identity)
        if theirs and at_s - self._seen_at_s < lasts_s:
            return False
        new = self._ours()
        if _holder(lease) != self.identity:
            new |= {"leaseTransitions": transitions + 1, "acquireTime": self._now()}
        return self.leases.replace(lease, new)

    def _ours(self) -> dict[str, object]:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.lease_s)),
            "renewTime": self._now(),
        }

    def _now(self) -> str | None:
        return rfc3339(self.now_s())


def _holder(lease: Lease) -> str:
    return text(lease, "spec", "holderIdentity")
