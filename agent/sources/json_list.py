"""Reads the items of a Kubernetes List one by one, so that a large one is never held whole."""

from __future__ import annotations

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Mapping

from agent.sources.untyped import text, whole

MAX_ITEM_CHARS = 8 << 20
_ITEMS = re.compile(r'"items"\s*:\s*\[')
_GAP = re.compile(r"[\s,]*")


class ListReader:
    """Iterate once over the items; afterwards ``version`` and ``rest`` tell of the list itself.

    Raises ``ValueError`` where the text is no list, ends too early, or an item is too large.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._text = getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._at = 0
        self._meta: object = None

    @property
    def version(self) -> str:
        """The resource version of the list, from which it can be watched."""
        return text(self._meta, "resourceVersion")

    @property
    def next_page(self) -> str:
        """The token that asks for the next page; empty on the last one."""
        return text(self._meta, "continue")

    @property
    def remaining(self) -> int | None:
        """How many items follow this page, where the server says."""
        return whole(self._meta, "remainingItemCount")

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        head = self._head()
        if head is None:
            yield from self._all_at_once()
            return
        decoder = json.JSONDecoder()
        while (item := self._item(decoder)) is not None:
            if isinstance(item, Mapping):
                yield item
        tail = self._held[self._at :] + "".join(self._decoded())
        self._keep_meta(json.loads(f'{head}"items":[{tail}'))

    def _head(self) -> str | None:
        """What stands before the items, once they are in sight."""
        while (found := _ITEMS.search(self._held)) is None:
            if not self._more():
                return None
        self._at = found.end()
        return self._held[: found.start()]

    def _item(self, decoder: json.JSONDecoder) -> object:
        """The next item; ``None`` at the list's closing bracket, where ``_at`` then stands."""
        while True:
            gap = _GAP.match(self._held, self._at)
            start = gap.end() if gap else self._at
            if self._held.startswith("]", start):
                self._at = start
                return None
            try:
                item, end = decoder.raw_decode(self._held, start)
            except (ValueError, RecursionError):
                if not self._more():
                    raise ValueError("the list ends within an item") from None
                continue
            self._at = end
            return {} if item is None else item

    def _more(self) -> bool:
        """Take in at least as much again as is held, so that a long item is not tried often."""
        self._held, self._at = self._held[self._at :], 0
        aim, parts, size = max(1, len(self._held)), [self._held], 0
        while size < aim and (piece := next(self._pieces, None)) is not None:
            parts.append(self._text.decode(piece))
            size += len(piece)
        self._held = "".join(parts)
        if len(self._held) > MAX_ITEM_CHARS:
            raise ValueError(f"an item is larger than {MAX_ITEM_CHARS} characters")
        return size > 0

    def _decoded(self) -> Iterator[str]:
        yield from (self._text.decode(piece) for piece in self._pieces)

    def _all_at_once(self) -> Iterator[Mapping[str, object]]:
        """A document that shows no items: an empty list says null, or nothing at all."""
        document = json.loads(self._held)
        kind = text(document, "kind")
        if not kind.endswith("List"):
            raise ValueError(f"expected a list, got {kind or 'something else'}")
        self._keep_meta(document)
        yield from ()

    def _keep_meta(self, document: object) -> None:
        self._meta = document.get("metadata") if isinstance(document, Mapping) else None
