"""``knockon rules``: list what is recognised, or say that rules of your own hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.printable import safe
from agent.rules.catalogue import Catalogue
from agent.rules.rulefile import Rule
from agent.words import counted


def listing(catalogue: Catalogue) -> str:
    """Return one line a rule: id, the fact it makes, and where its wording comes from."""
    rules = sorted(catalogue.rules, key=lambda rule: (rule.kind, rule.id))
    return "".join(f"{_line(rule)}\n" for rule in rules)


def checked(files: Sequence[Path]) -> str:
    """Load rule files, which proves every sample, and say what was proved (or raise UserError)."""
    known = {rule.id for rule in Catalogue.load().rules}
    own = [rule for rule in Catalogue.load(files).rules if rule.id not in known]
    samples = sum(len(rule.matches) + len(rule.rejects) for rule in own)
    found = f"{counted(len(own), 'rule')} in {counted(len(files), 'file')}"
    return f"{found}, {counted(samples, 'sample')}: all hold\n"


def _line(rule: Rule) -> str:
    return "  ".join(safe(text, 160) for text in (rule.id, str(rule.kind), rule.origin))
