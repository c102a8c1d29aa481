"""Make text from logs safe to print: no escape sequence, no hidden or reordering character.

Log text is written by whoever runs on the node. Printed as it is, it can move the cursor, recolour
the screen, set the clipboard (OSC 52) or show a name backwards (U+202E).
"""

from __future__ import annotations

import unicodedata

# Cc control, Cf format (bidi, zero width, tags), Cs surrogates, Co private, Cn unassigned,
# Zl and Zp line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": " "}
_MARKS_IN_A_ROW = 2  # more stacked accents than any language uses only serve to smear other lines


def safe(text: str, limit: int = 400) -> str:
    """Show every dangerous character as a visible escape, and cut to ``limit`` characters."""
    cut = len(text) > limit
    if cut:
        text = text[: limit - 1]
    if not (text.isascii() and text.isprintable()):
        text = _escaped(text)
    return f"{text.strip()}…" if cut else text.strip()


def _escaped(text: str) -> str:
    shown: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if category in _UNSAFE or marks > _MARKS_IN_A_ROW:
            shown.append(_SHORT.get(char) or _code(char))
        elif category == "Zs":
            shown.append(" ")
        else:
            shown.append(char)
    return "".join(shown)


def _code(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def ascii_only(text: str) -> str:
    """Replace what an ASCII terminal cannot show, our own ellipsis by three dots."""
    if text.isascii():
        return text
    return text.replace("…", "...").encode("ascii", "backslashreplace").decode("ascii")


def columns(text: str) -> int:
    """Count the terminal columns a text takes: wide characters two, accents none."""
    if text.isascii():
        return len(text)
    return sum(_char_columns(char) for char in text)


def _char_columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines of at most ``width`` columns, at spaces where there are any."""
    width = max(width, 8)
    lines: list[str] = []
    line, used = "", 0
    for word in text.split():
        for piece in _pieces(word, width):
            size = columns(piece)
            if line and used + 1 + size > width:
                lines.append(line)
                line, used = piece, size
            else:
                line = f"{line} {piece}" if line else piece
                used = used + 1 + size if used else size
    return [*lines, line] if line else lines


def _pieces(word: str, width: int) -> list[str]:
    """Split a word that is wider than a line; most are not."""
    if columns(word) <= width:
        return [word]
    pieces: list[str] = []
    piece, used = "", 0
    for char in word:
        size = _char_columns(char)
        if used + size > width:
            pieces.append(piece)
            piece, used = "", 0
        piece, used = piece + char, used + size
    return [*pieces, piece]
