"""What we ask of the API server, and what it answers when it does not give it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from agent.sources.untyped import text, whole

JSON = "application/json"


def metadata_of(kind: str) -> str:
    """Ask for names and labels alone, without spec and status (``PartialObjectMetadata``)."""
    return f"{JSON};as={kind};g=meta.k8s.io;v=v1,{JSON}"


class Trouble(StrEnum):
    """Why an answer is not what was asked for."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    EXISTS = "exists"
    GONE = "gone"  # the resource version is too old
    INVALID = "invalid"
    THROTTLED = "throttled"
    SERVER = "server"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TORN = "torn"  # ended in the middle, or is not what the protocol says
    TOO_LARGE = "too_large"


_BY_STATUS = {
    401: Trouble.UNAUTHORIZED,
    403: Trouble.FORBIDDEN,
    404: Trouble.NOT_FOUND,
    409: Trouble.EXISTS,
    410: Trouble.GONE,
    429: Trouble.THROTTLED,
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, with the verb and resource that RBAC would have to allow."""

    verb: str
    resource: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    accept: str = JSON


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is none."""

    trouble: Trouble
    why: str
    status: int = 0
    retry_after_s: float = 0.0


class Broken(Exception):
    """A body could not be read to its end."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.why)
        self.refusal = refusal


def refusal_of(status: int, body: bytes, retry_after: str = "") -> Refusal:
    """The refusal a status code and a Kubernetes Status object stand for."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    asked_s = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    asked_s = asked_s or float(whole(said, "details", "retryAfterSeconds") or 0)
    why = text(said, "message") or f"the API server answered {status}"
    default = Trouble.SERVER if status >= 500 else Trouble.INVALID
    return Refusal(_BY_STATUS.get(status, default), why[:400], status, asked_s)


def network_refusal(error: Exception) -> Refusal:
    """The refusal that an exception of the network, TLS or HTTP stands for."""
    if isinstance(error, TimeoutError):
        return Refusal(Trouble.TIMEOUT, "the API server did not answer in time")
    if isinstance(error, OSError):  # before ValueError: a certificate not trusted is both
        return Refusal(Trouble.UNREACHABLE, str(error)[:400] or type(error).__name__)
    return Refusal(Trouble.TORN, f"{type(error).__name__}: {error}"[:400])
