"""Regular expressions, compiled when they are first looked for: of hundreds, few ever are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.rules.literals import Needles, needles


@dataclass(slots=True, unsafe_hash=True)
class Late:
    """One expression, equal to another of the same text."""

    pattern: str
    _needles: Needles | None = field(default=None, compare=False, repr=False)
    _compiled: re.Pattern[str] | None = field(default=None, compare=False, repr=False)

    def compiled(self) -> re.Pattern[str]:
        """Give it compiled; raises re.error."""
        if self._compiled is None:
            self._compiled = re.compile(self.pattern)
        return self._compiled

    @property
    def needles(self) -> Needles:
        """What every match of it holds; raises re.error."""
        if self._needles is None:
            self._needles = needles(self.pattern)
        return self._needles

    def search(self, text: str) -> re.Match[str] | None:
        """Look for it."""
        return (self._compiled or self.compiled()).search(text)

    def finditer(self, text: str, *bounds: int) -> Iterator[re.Match[str]]:
        """Look for all of it, from here and up to there."""
        return (self._compiled or self.compiled()).finditer(text, *bounds)
