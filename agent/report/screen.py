"""What the terminal can do (width, colours, alphabet), and how lines are laid out on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.printable import ascii_only, columns, wrapped

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_SLIVER = 12  # columns left beside a prefix that are too few to read words in


@dataclass(frozen=True, slots=True)
class Screen:
    """One terminal (or file, or pipe), and how much a person asked to see on it."""

    width: int = 80
    colour: bool = False
    unicode: bool = True
    explain: bool = False
    every_incident: bool = False

    def styled(self, text: str, style: str) -> str:
        """Colour a finished line, never text that still has to be wrapped."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.colour and text else text

    def each(self, lines: Iterable[str], style: str) -> list[str]:
        """Colour finished lines one by one, so that a pager may cut between them."""
        return [self.styled(line, style) for line in lines]

    def wrap(self, text: str, indent: int = 0) -> list[str]:
        """Break into lines; spelt in ASCII first, where an escape is wider than its letter."""
        return wrapped(text if self.unicode else ascii_only(text), self.width - indent)

    def hanging(self, prefix: str, text: str) -> list[str]:
        """Wrap safe text behind a prefix; following lines are indented by the prefix's width."""
        indent = columns(prefix)
        if self.width - indent < _SLIVER:
            return [prefix.rstrip(), *("  " + line for line in self.wrap(text, 2))]
        head, *tail = self.wrap(text, indent) or [""]
        return [(prefix + head).rstrip(), *(" " * indent + line for line in tail)]
