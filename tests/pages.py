"""Reads a page back as a browser would, and says what it consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "br", "col", "input"})


@dataclass(slots=True)
class Page:
    """The elements of a page, in order, and its texts."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    blocks: list[tuple[str, str]] = field(default_factory=list)  # of script and style
    unbalanced: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.tags]

    @property
    def attributes(self) -> list[tuple[str, str]]:
        return [pair for _, given in self.tags for pair in given.items()]

    def values(self, attribute: str) -> list[str]:
        return [value for name, value in self.attributes if name == attribute]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.page.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.page.blocks.append((self.open[-1], data))
        elif data.strip():
            self.page.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.page.unbalanced.append(f"comment {data}")


def read_page(text: str) -> Page:
    """Parse a whole page; what is left open counts as unbalanced."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    reader.page.unbalanced += reader.open
    return reader.page
