"""Reads the tables in which kubectl prints events, however their columns were squeezed.

A header line becomes one pattern made of what each column may hold, so that tabs, single spaces
and empty cells do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.sources.stamps import AGE

_WHEN = rf"{AGE}(?: ago)?"
_REPEATED = rf"(?:{_WHEN})(?: \(x\d{{1,9}} over {AGE}\))?"
_SOURCE = r"(?:\{[^}]{1,400}\}|[\w./:-]{1,200}, [\w.<>:-]{1,253}|[\w./:<>-]{1,200})"
_CELLS = {
    "LASTSEEN": rf"(?P<last>{_REPEATED})",
    "FIRSTSEEN": rf"(?P<first>{_WHEN})",
    "AGE": rf"(?P<last>{_REPEATED})",
    "COUNT": r"(?P<count>\d{1,9})",
    "TYPE": r"(?P<type>Normal|Warning)",
    "REASON": r"(?P<reason>\S{1,128})",
    "OBJECT": r"(?P<object>\S{1,300})",
    "NAME": r"(?P<name>\S{1,300})",
    "KIND": r"(?P<kind>[A-Z]\w{1,62})",
    "NAMESPACE": r"(?P<namespace>[a-z0-9-]{1,63})",
    "FROM": rf"(?P<source>{_SOURCE})",
    "SOURCE": rf"(?P<source>{_SOURCE})",
    "MESSAGE": r"(?P<message>.*?)",
}
_FIELD_PATH = r"(?:(?P<path>spec\.\S{1,200}|implicitly required container POD)\s+)?"
_PATH_COLUMNS = frozenset({"SUBOBJECT", "SUBOBJECTPATH"})
_TITLE = re.compile(
    r"LAST ?SEEN|FIRST ?SEEN|AGE|COUNT|TYPE|REASON|OBJECT|NAMESPACE|NAME|KIND|SUBOBJECT(?:PATH)?"
    r"|FROM|SOURCE|MESSAGE"
)
_SEPARATOR = re.compile(r"(?:\s+|-{2,})+")
# Of a table that lost its header: `kubectl get events`, and the Events section of `describe`.
_ROWS = (
    (
        rf"(?:(?P<namespace>[a-z0-9-]{{1,63}})\s+)?(?P<last>{_REPEATED})\s+(?P<type>Normal|Warning)"
        r"\s+(?P<reason>[A-Z]\w{1,127})\s+(?P<object>[\w.]{1,100}/\S{1,253})\s+(?P<message>\S.*)"
    ),
    (
        rf"(?P<type>Normal|Warning)\s+(?P<reason>[A-Z]\w{{1,127}})\s+(?P<last>{_REPEATED})"
        rf"\s+(?P<source>{_SOURCE})\s+(?P<message>\S.*)"
    ),
    (
        rf"(?P<first>{AGE})\s+(?P<last>{AGE})\s+(?P<count>\d{{1,9}})\s+(?P<source>{_SOURCE})\s+"
        rf"{_FIELD_PATH}(?P<type>Normal|Warning)\s+(?P<reason>[A-Z]\w{{1,127}})\s+(?P<message>\S.*)"
    ),
)
_HEADLESS = tuple(re.compile(rf"\s*{pattern}\s*$", re.DOTALL) for pattern in _ROWS)
_TIMES_OVER = re.compile(rf"({_WHEN})(?: \(x(\d{{1,9}}) over ({AGE})\))?")


@dataclass(frozen=True, slots=True)
class Row:
    """One event as printed; ages are text, empty where there was no such column."""

    reason: str
    message: str
    type: str = ""
    last: str = ""
    first: str = ""
    count: int = 1
    kind: str = ""
    name: str = ""
    namespace: str = ""
    source: str = ""
    field_path: str = ""

    def with_more(self, text: str) -> Row:
        """The row with another line of its message."""
        return replace(self, message=f"{self.message} {text.strip()}")


def header_pattern(line: str) -> re.Pattern[str] | None:
    """A pattern for the rows below this header line; ``None`` if it is no header of events."""
    if "REASON" not in line and "Reason" not in line:
        return None
    upper = line.strip().upper()
    if "MESSAGE" not in upper:
        return None
    titles = [title.replace(" ", "") for title in _TITLE.findall(upper)]
    if _SEPARATOR.sub("", _TITLE.sub("", upper)) or len(set(titles)) != len(titles):
        return None
    if {"LASTSEEN", "AGE"} <= set(titles) or {"FROM", "SOURCE"} <= set(titles):
        return None
    parts = [
        _FIELD_PATH if title in _PATH_COLUMNS else _CELLS[title] + (r"\s+" if more else "")
        for title, more in zip(titles, [True] * (len(titles) - 1) + [False], strict=True)
    ]
    return re.compile(r"\s*" + "".join(parts) + r"\s*$", re.DOTALL)


def row_of(line: str, pattern: re.Pattern[str] | None) -> Row | None:
    """The event in a line below a header, or in one that looks like a row without its header."""
    match = pattern.match(line) if pattern is not None else None
    if match is None:
        if "Normal" not in line and "Warning" not in line:
            return None
        match = next((found for shape in _HEADLESS if (found := shape.match(line))), None)
    return None if match is None else _row(match.groupdict())


def repeated(age: str) -> tuple[str, int, str]:
    """``25m (x3 over 46m)`` as last age, count and first age."""
    match = _TIMES_OVER.match(age)
    if match is None:
        return age, 1, ""
    return match[1].removesuffix(" ago"), int(match[2] or 1), match[3] or ""


def object_of(text: str) -> tuple[str, str]:
    """Kind and name of ``pod/web-1``, ``Pod web-1`` or a bare ``Node``."""
    kind, slash, name = text.partition("/")
    if not slash:
        return (kind, "") if kind[:1].isupper() else ("", kind)
    return _KINDS.get(kind.lower(), kind[:1].upper() + kind[1:]), name


_KINDS = {
    "po": "Pod", "pods": "Pod", "no": "Node", "nodes": "Node", "deploy": "Deployment",
    "ds": "DaemonSet", "daemonset": "DaemonSet", "sts": "StatefulSet", "statefulset": "StatefulSet",
    "rs": "ReplicaSet", "replicaset": "ReplicaSet", "cronjob": "CronJob", "nodeclaim": "NodeClaim",
}  # fmt: skip


def _row(found: Mapping[str, str | None]) -> Row:
    cells = {name: value.strip() for name, value in found.items() if value}
    last, count, first = repeated(cells.get("last", ""))
    kind, name = cells.get("kind", ""), cells.get("name", "")
    if "object" in cells:
        kind, name = object_of(cells["object"])
    elif not kind:
        name = ""  # the event's own name, of no use
    return Row(
        reason=cells.get("reason", ""),
        message=cells.get("message", ""),
        type=cells.get("type", ""),
        last=last,
        first=cells.get("first", first).removesuffix(" ago"),
        count=int(cells.get("count", count)),
        kind=kind,
        name=name.split(".", 1)[0] if kind and "object" not in cells else name,
        namespace=cells.get("namespace", ""),
        source=cells.get("source", ""),
        field_path=cells.get("path", ""),
    )
