"""Errors that are the user's to mend: one clear line and a hint, never a traceback."""


class UserError(Exception):
    """Say what is wrong with what the user gave us, and what to do about it (exit status 2)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NoData(Exception):
    """This node cannot tell, and never will (no PSI in its kernel): a value, not a failure."""
