"""What really happened in a case, in the words of ``agent.model``."""

from __future__ import annotations

from dataclasses import dataclass

from agent.model import Cause


@dataclass(frozen=True, slots=True)
class Truth:
    """The confirmed truth of one case; what is ``None`` is not known and not scored."""

    cause: str
    sufficient: str = "yes"  # yes, partly, no: whether the records alone suffice
    killer: str | None = None
    victims: frozenset[str] | None = None  # "namespace/pod"
    quiet: bool = False

    @property
    def expected(self) -> str:
        """The right answer: the cause, or ``unknown`` where the records do not show it."""
        return Cause.UNKNOWN.value if self.sufficient == "no" else self.cause

    @property
    def answerable(self) -> bool:
        """Whether a cause has to be named: only these count for top-1 and top-3."""
        return not self.quiet and self.expected != Cause.UNKNOWN
