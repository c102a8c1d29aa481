"""Says what an object store's error means: for the user, for the caller, or just once more."""

from __future__ import annotations

import re

from agent.printable import safe
from backup.exits import Failure


class StoreFailed(Failure):
    """The store refused or stopped working: a line and a hint, exit status 1."""

    refused = False  # the store answered, and what it said is the user's to mend


class Missing(Exception):
    """There is no such object."""


class Taken(Exception):
    """There is such an object already, or somebody changed it meanwhile."""


_STATUS = re.compile(r"status code: (\d{3})")
_WORTH_ANOTHER_TRY = frozenset({408, 429})
# What stores write into the body of a refusal, and what it means to the person who reads it.
_REFUSALS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"ExpiredToken|TokenExpired|RequestExpired|[Tt]oken.{0,30}expired"),
        "the credentials expired",
        "renew them, or use credentials that outlive the backup (a role, a service account)",
    ),
    (
        re.compile(r"RequestTimeTooSkewed"),
        "the store refuses us because this machine's clock is wrong",
        "synchronise the clock (NTP) and run again",
    ),
    (
        re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist"),
        "there is no such bucket",
        "create it first, or mend the name in --to; we never create buckets",
    ),
    (
        re.compile(r"InvalidAccessKeyId|SignatureDoesNotMatch|Unauthenticated|status code: 401"),
        "the credentials are not accepted",
        "check the access key, its secret and the endpoint",
    ),
    (
        re.compile(r"AccessDenied|PermissionDenied|Forbidden|status code: 403"),
        "the credentials do not allow this",
        "they need to list, read, write and delete objects below the prefix",
    ),
    (
        re.compile(r"No space left on device|Disk quota exceeded|QuotaExceeded"),
        "there is no space left",
        "free some with `knockon backup prune`, or use a larger target",
    ),
    (
        re.compile(r"Permission denied|Read-only file system"),
        "this user may not write there",
        "check owner and mode of the directory",
    ),
    (
        re.compile(r"[Cc]redential.{0,80}(not found|missing|provide)|instance metadata|169\.254\."),
        "there are no credentials",
        "set them in the environment (AWS_*, GOOGLE_*, AZURE_*) or give the pod a role",
    ),
)


def is_transient(error: Exception) -> bool:
    """Tell whether the same request may well succeed a little later."""
    if type(error).__name__ not in ("GenericError", "BaseError", "JoinError"):
        return False
    text = str(error)
    if refusal(text) is not None or "LocalFileSystem" in text:
        return False
    status = _STATUS.search(text)
    if status is None:
        return True
    code = int(status[1])
    return code >= 500 or code in _WORTH_ANOTHER_TRY


def refusal(text: str) -> tuple[str, str] | None:
    """What a refusal means and what to do about it; None where it says nothing that we know."""
    for pattern, meaning, hint in _REFUSALS:
        if pattern.search(text):
            return meaning, hint
    return None


def complaint(error: Exception, where: str) -> StoreFailed:
    """Turn any error of the library into one line with a hint."""
    text = str(error)
    known = refusal(text)
    if known is not None:
        told = StoreFailed(f"{where}: {known[0]}", known[1])
        told.refused = True
        return told
    first_line = text.partition("\n")[0]
    return StoreFailed(
        f"{where} does not do what we ask: {safe(first_line, 240)}",
        "is the endpoint right, and can it be reached from here?",
    )
