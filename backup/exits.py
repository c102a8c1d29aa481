"""Exit statuses of `knockon backup …`: one table, which the help shows and every error uses."""

from __future__ import annotations

from enum import IntEnum

from agent.errors import UserError


class Exit(IntEnum):
    """What a script may act on."""

    DONE = 0
    FAILED = 1
    USER_ERROR = 2
    NOT_VERIFIED = 3
    LOCKED = 4
    TOO_LATE = 5
    ABORTED = 6
    NOTHING_TO_DO = 7


MEANING: dict[Exit, str] = {
    Exit.DONE: "done",
    Exit.FAILED: "failed; nothing was published, the next run may work",
    Exit.USER_ERROR: "usage, configuration or rights: mend it first",
    Exit.NOT_VERIFIED: "a checksum differs: do not trust this data",
    Exit.LOCKED: "another run holds the lock",
    Exit.TOO_LATE: "the deadline is missed or cannot be met",
    Exit.ABORTED: "stopped by a signal",
    Exit.NOTHING_TO_DO: "nothing to do",
}


class Failure(UserError):
    """One clear line and a hint, with the status that the process ends with."""

    def __init__(self, message: str, hint: str = "", status: Exit = Exit.FAILED) -> None:
        super().__init__(message, hint)
        self.status = status


def status_of(error: UserError) -> Exit:
    """Return the status for an error; one that carries none is the user's to mend."""
    return error.status if isinstance(error, Failure) else Exit.USER_ERROR


def reason_word(status: Exit) -> str:
    """Return the status as a metric's label: ``user_error``.

    >>> reason_word(Exit.TOO_LATE)
    'too_late'
    """
    return status.name.lower()


def as_help() -> str:
    """Return the table as it stands below the help."""
    lines = "\n".join(f"  {status.value}  {meaning}" for status, meaning in MEANING.items())
    return f"exit status:\n{lines}\n"
