"""The words for what may be wrong with what: TOML in, expressions out.

A *meaning* joins a subject (``device``) and a symptom (``io-error``) to the cause they speak for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import UserError
from agent.model import Cause
from agent.rules.late import Late
from agent.rules.literals import Needles, needles

FOLDER = Path(__file__).parent.parent / "rulebook" / "vocabulary"
WEIGHTS = ("fair", "weak", "hint")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one symptom of one subject speaks for, and how much (``fair``, ``weak``, ``hint``)."""

    cause: Cause
    weight: str


@dataclass(frozen=True, slots=True)
class Symptom:
    """Words for one thing that may be wrong."""

    name: str
    pattern: Late
    needles: Needles
    alone: str  # the subject it implies where the line names none; may be empty
    of: Mapping[str, Meaning]  # by subject


@dataclass(frozen=True, slots=True)
class Denials:
    """Words that take a symptom back, by where they stand."""

    at_once_before: Late
    before: Late
    after: Late


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All subjects, symptoms and denials, ready to read lines."""

    subjects: Mapping[str, Late]
    symptoms: tuple[Symptom, ...]
    denials: Denials

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Vocabulary:
        """Read the folder's four files; a UserError says which word is not known."""
        raw = {path.stem: _toml(path) for path in sorted(folder.glob("*.toml"))}
        subjects = {name: _words(words) for name, words in raw["subjects"]["subjects"].items()}
        meanings = _meanings(raw["meanings"]["meaning"])
        symptoms = tuple(_symptom(name, one, meanings) for name, one in raw["symptoms"].items())
        _check(subjects, symptoms, meanings)
        said = raw["denials"]["denials"]
        denials = Denials(**{name: Late(words) for name, words in said.items()})
        return cls(subjects, symptoms, denials)


_ByPair = Mapping[tuple[str, str], Meaning]


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _words(words: str) -> Late:
    """Look for words that begin where a word begins; lines are read in lower case.

    The lookbehind says the same as a word boundary in front, and is found two to four times faster.
    """
    return Late(rf"(?<![a-z0-9])(?:{words})")


def _meanings(rows: Iterable[Mapping[str, Any]]) -> _ByPair:
    found: dict[tuple[str, str], Meaning] = {}
    for row in rows:
        if row["weight"] not in WEIGHTS:
            raise UserError(
                f"meanings.toml: weight {row['weight']!r} is none of {', '.join(WEIGHTS)}"
            )
        meaning = Meaning(Cause(row["cause"]), row["weight"])
        for subject in row["subjects"]:
            for symptom in row["symptoms"]:
                if (subject, symptom) in found:
                    raise UserError(f"meanings.toml: {subject} and {symptom} are joined twice")
                found[subject, symptom] = meaning
    return found


def _symptom(name: str, table: Mapping[str, str], meanings: _ByPair) -> Symptom:
    of = {subject: told for (subject, symptom), told in meanings.items() if symptom == name}
    words = table["words"]
    return Symptom(name, _words(words), needles(rf"\b(?:{words})"), table.get("alone", ""), of)


def _check(subjects: Mapping[str, object], symptoms: Iterable[Symptom], meanings: _ByPair) -> None:
    names = {one.name for one in symptoms}
    for subject, symptom in meanings:
        if subject not in subjects or symptom not in names:
            raise UserError(f"meanings.toml: no words are known for {subject} or {symptom}")
    for one in symptoms:
        if not one.needles:
            raise UserError(f"symptoms.toml: {one.name}: an alternative holds no literal word")
