"""Find text a regular expression cannot match without, so that most lines need no regex at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from re import _constants as _ops  # type: ignore[attr-defined]
from re import _parser as _sre  # type: ignore[attr-defined]
from typing import Any

Needle = tuple[str, ...]  # lower case; all of these occur, the most telling one first
Needles = frozenset[Needle]  # and of these, one at least
EDGE = "\0"  # in a needle: the text has a word boundary here

# Words of nearly every line of a node: poor keys to find a rule by.
COMMON_WORDS = frozenset(
    """and because cgroup code configuration connect connection container containerd containers
    context could data default desc docker err error failed failure for from has image info invalid
    kubelet kubernetes level memory message name network node not plugin pod reason required rpc
    runtime runtimeservice sandbox server service started starting status stopped stopping support
    system task the this time type unable unknown volume warning was with""".split()  # noqa: SIM905
)
MOST_PARTS = 4  # literals looked for before the regex runs
SHORTEST_PART = 3

_NOTHING: Needles = frozenset()
_Argument = Any  # what the regex parser hangs on an operator
_WORD = re.compile(r"\w+")
_ESCAPED = re.compile(r"\\+([\"nt])")
_BOUNDARIES = frozenset(
    (_ops.AT_BOUNDARY, _ops.AT_BEGINNING, _ops.AT_BEGINNING_STRING, _ops.AT_END, _ops.AT_END_STRING)
)
_APART = frozenset((_ops.CATEGORY_SPACE, _ops.CATEGORY_NOT_WORD))


def needles(pattern: str) -> Needles:
    """Give what every match of ``pattern`` holds: one of these needles; empty when unknown."""
    return _of_sequence(_sre.parse(pattern))


def text_of(needle: str) -> str:
    """Give the plain text of a needle, without its edges."""
    return needle.replace(EDGE, "")


def whole_words(needle: str) -> list[str]:
    """Give the words of a needle that are whole words of any text that holds it."""
    return [
        match.group()
        for match in _WORD.finditer(needle)
        if match.start() > 0 and match.end() < len(needle)
    ]


def plain_quotes(message: str) -> str:
    r"""Take an error inside an error out of its escapes.

    >>> plain_quotes(r'err="failed to set up pod \"a_b\": x\nplease wait"')
    'err="failed to set up pod "a_b": x please wait"'
    """
    if "\\" not in message:
        return message
    return _ESCAPED.sub(lambda found: '"' if found[1] == '"' else " ", message)


def words_of(text: str) -> list[str]:
    """Give the words of a line, as ``whole_words`` counts them."""
    return _WORD.findall(text)


def _of_sequence(items: Iterable[Any], before: str = "", after: str = "") -> Needles:
    listed = [*items]
    runs: list[str] = []
    choices: list[Needles] = []
    run = before
    for place, (operator, argument) in enumerate(listed):
        if operator is _ops.LITERAL:
            run += chr(argument).lower()
        elif operator is _ops.AT and argument in _BOUNDARIES:
            run += EDGE
        else:
            apart = EDGE if _is_apart(operator, argument) else ""
            last = place + 1 == len(listed)
            following = after if last else _edge_of(listed[place + 1])
            choices.append(_of_operator(operator, argument, _edge_at(run), following))
            runs.append(run + apart)
            run = apart
    runs.append(run + after)
    return _joined([one for one in runs if text_of(one)], choices)


def _joined(runs: Sequence[str], choices: Sequence[Needles]) -> Needles:
    """Take the strongest choice as key; the plain runs around it must occur as well."""
    if not choices and len(runs) == 1:  # as most of a pattern's branches are
        return frozenset({(runs[0],)})
    best = max((_NOTHING, *choices, *(frozenset({(run,)}) for run in runs)), key=_strength)
    around = [run for run in runs if len(text_of(run)) >= SHORTEST_PART]
    return frozenset(
        (*needle, *(run for run in around if run not in needle))[:MOST_PARTS] for needle in best
    )


def _edge_at(run: str) -> str:
    return EDGE if run and not _WORD.match(run[-1]) else ""


def _edge_of(item: tuple[Any, Any]) -> str:
    operator, argument = item
    at_boundary = operator is _ops.AT and argument in _BOUNDARIES
    return EDGE if at_boundary or _is_apart(operator, argument) else ""


def _is_apart(operator: int, argument: _Argument) -> bool:
    """Say whether one character that is no word character must stand here."""
    if operator is _ops.IN:
        return all(_is_apart(part, value) for part, value in argument)
    if operator is _ops.CATEGORY:
        return argument in _APART
    if operator is _ops.LITERAL:
        return not _WORD.match(chr(argument))
    if operator in (_ops.MAX_REPEAT, _ops.MIN_REPEAT, _ops.POSSESSIVE_REPEAT):
        least, _, body = argument
        return least > 0 and len(body) == 1 and _is_apart(*body[0])
    return False


def _of_operator(operator: int, argument: _Argument, before: str, after: str) -> Needles:
    if operator is _ops.SUBPATTERN:
        return _of_sequence(argument[-1], before, after)
    if operator is _ops.ATOMIC_GROUP:
        return _of_sequence(argument, before, after)
    if operator in (_ops.MAX_REPEAT, _ops.MIN_REPEAT, _ops.POSSESSIVE_REPEAT):
        least, _, body = argument
        return _of_sequence(body) if least else _NOTHING
    if operator is _ops.BRANCH:
        parts = [_of_sequence(branch, before, after) for branch in argument[1]]
        return _NOTHING.union(*parts) if all(parts) else _NOTHING
    return _NOTHING


def _strength(found: Needles) -> tuple[int, int, int]:
    """Prefer a telling whole word in every needle, then length, then few needles."""
    keys = [needle[0] for needle in found]
    words = min((max(map(tellingness, whole_words(key)), default=0) for key in keys), default=0)
    shortest = min((len(text_of(key)) for key in keys), default=0)
    return min(words, 6) if words >= SHORTEST_PART else 0, shortest, -len(keys)


def tellingness(word: str) -> int:
    """Say how much a word narrows the rules down: its length, or nothing for common words."""
    return 0 if word in COMMON_WORDS else len(word)
