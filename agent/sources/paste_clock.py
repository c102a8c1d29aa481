"""Works out of a paste itself what its lines leave out: the year, the time zone, the wrap width."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from agent.sources.line_shapes import Line, split_line
from agent.sources.quoted import inner_stamp
from agent.sources.stamps import ISO, Clock, Stamp, iso_stamp, unix_s, wall_s
from agent.sources.unwrap import unwrap

_QUARTER_S = 900
_SLACK_S = 120.0  # a stalled journald stamps lines late
_WIDEST_ZONE_S = 14 * 3600
_SURE = 0.6  # of the lines that say anything about the zone
_WRAP_SLACK_CHARS = 25
_WIDEST_WRAP_CHARS = 160
_ESCAPED = re.compile(r"\\.")


def learn_clock(lines: Iterable[str], now_s: float) -> Clock:
    """The year and zone that full dates in some lines imply for the others."""
    near_s: float | None = None
    votes: Counter[int] = Counter()
    for text in lines:
        line = split_line(text) or Line(text)
        inner = inner_stamp(unwrap(line.text))
        full = next((s for s in (line.stamp, inner) if s and s.year), None) or _header_date(text)
        if full is not None and near_s is None:
            near_s = unix_s(full, Clock(now_s))
        if line.stamp is not None and inner is not None and line.stamp.zone_s is None:
            votes.update(_vote(line.stamp, inner, Clock(now_s, near_s)))
    best = votes.most_common(1)
    sure = bool(best) and best[0][1] >= _SURE * votes.total()
    return Clock(now_s, near_s, best[0][0] if sure else None)


def _header_date(text: str) -> Stamp | None:
    """The date in ``-- Logs begin at …, end at …. --``."""
    match = ISO.search(text) if text.startswith("-- ") else None
    return iso_stamp(text[match.start() :]) if match else None


def _vote(outer: Stamp, inner: Stamp, clock: Clock) -> list[int]:
    """The zone of the outer stamp, if the inner one says anything about it."""
    inner_s = unix_s(inner, clock)
    outer_s = wall_s(outer, Clock(clock.now_s, inner_s))
    if inner_s is None or outer_s is None:
        return []
    zone_s = round((outer_s - inner_s) / _QUARTER_S) * _QUARTER_S
    if abs(outer_s - inner_s - zone_s) > _SLACK_S or abs(zone_s) > _WIDEST_ZONE_S:
        return []
    # Two stamps without a zone that agree are both local; that they differ makes one of them UTC.
    return [zone_s] if inner.zone_s is not None or zone_s else []


def wrap_width(lines: Sequence[str]) -> int:
    """The width at which a ticket broke long lines; 0 if it did not."""
    broken = [
        len(line)
        for line, after in pairwise(lines)
        if after.strip() and not after[0].isspace() and split_line(line) and not split_line(after)
    ]
    widest = max(map(len, lines), default=0)
    if len(broken) < 2 or not 60 <= widest <= _WIDEST_WRAP_CHARS:
        return 0
    return widest if min(broken) >= widest - _WRAP_SLACK_CHARS else 0


def is_broken(line: str, width: int) -> bool:
    """Whether a line was cut at this width, or inside a quotation that never closes."""
    if width and len(line) >= width - _WRAP_SLACK_CHARS:
        return True
    if 'msg="' not in line and '{"' not in line:
        return False
    return _ESCAPED.sub("", line).count('"') % 2 == 1
