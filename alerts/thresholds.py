"""Every number and window the rules use, with its reason; a values file may change each."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import UserError

DAY_S = 24 * 3600
_WINDOW = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")


def knob(default: Any, says: str) -> Any:  # noqa: ANN401 - dataclasses.field returns Any as well
    """Declare one threshold with the sentence that justifies it."""
    return field(default=default, metadata={"says": says})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Defaults for clusters of any size; times without a unit in the name are PromQL durations."""

    incident_settles: str = knob(
        "30s", "The cause is often unknown for the first seconds; a page waits for a better word."
    )
    unknown_settles: str = knob(
        "10m", "Late evidence may still name the cause, so nobody is told of an unknown before."
    )
    flapping_incidents: int = knob(
        3, "Twice may be chance; a third incident on one node means that something stays broken."
    )
    flapping_window: str = knob("6h", "Incidents further apart than this have little in common.")
    fleet_nodes: int = knob(
        5, "So many nodes at once share a reason: an upgrade, a storage outage, a bad image."
    )
    fleet_ratio: float = knob(
        0.02, "In a cluster of thousands a handful of nodes is chance, so a share is needed too."
    )
    slow_probe_s: float = knob(
        20.0, "A third of the 60 s after which the usual health monitor kills the runtime."
    )
    slow_window: str = knob("5m", "Slow answers further apart than this do not belong together.")
    slow_step: str = knob("15s", "How often slowness is looked at within its window.")
    slow_looks: int = knob(
        2, "One slow answer is a hiccup; a second look must still come before the kill at 60 s."
    )
    unanswered_probes: float = knob(
        1.5, "A runtime that restarts misses one question; missing a second is no restart."
    )
    pressure_window: str = knob(
        "5m", "Long enough for four scrapes at a minute, as a rate needs them."
    )
    pressure_holds: str = knob("5m", "A compaction or an image pull stalls a node for a minute.")
    pressure_keeps: str = knob(
        "10m", "Pressure around its limit comes and goes; that is one alert and not five."
    )
    io_stalled_ratio: float = knob(
        0.5, "Half of the time nothing at all could run for lack of I/O; users notice."
    )
    memory_stalled_ratio: float = knob(
        0.2, "A fifth of the time lost to reclaim is thrashing, and runtimes hang in it."
    )
    cpu_waiting_ratio: float = knob(0.8, "Something was ready and did not run nearly all the time.")
    cpu_idle_ratio: float = knob(
        0.25, "With idle processors the wait is a CPU limit of one pod's own, not the node's."
    )
    cpu_holds: str = knob("10m", "Builds and start-ups take all processors for minutes, rightly.")
    agent_absent_for: str = knob(
        "15m", "A new node, a rollout and a reboot each take less until the agent is scraped."
    )
    agent_job: str = knob(
        ".*knockon.*", "Scrape jobs of the agent, as a regular expression over the label job."
    )
    unwatched_for: str = knob(
        "10m", "The replica itself waits five minutes; a rollout of the agents takes no longer."
    )
    unwatched_keeps: str = knob(
        "15m", "A new leader of the replicas counts from nothing, and waits its five minutes again."
    )
    journal_unreadable_for: str = knob(
        "15m", "Rotation leaves a half-written file for moments; a wrong libsystemd stays."
    )
    recorder_silent_s: float = knob(
        120.0, "The recorder samples every second; two minutes are no hiccup."
    )
    recorder_blind_ratio: float = knob(
        0.1, "Blind a tenth of the time, the minutes before a kill are likely to be missing."
    )
    recorder_blind_window: str = knob("30m", "One gap at a restart of the agent is forgiven.")
    recorder_blind_for: str = knob("5m", "A restart of the agent ends well before.")
    spoofed_lines: float = knob(
        4.5, "A quoted log line happens; five such lines in an hour are a program or a person."
    )
    spoofed_window: str = knob("1h", "Attempts are told in batches, not one by one.")
    backup_stale_s: int = knob(
        2 * DAY_S + 2 * 3600, "Two daily periods and the time a run takes: one run may fail."
    )
    backup_memory: str = knob(
        "7d", "The node that kept the metric may be gone; what it said last still counts."
    )
    backup_settles: str = knob("10m", "A restart of what is scraped is no missing backup.")
    backup_missing_for: str = knob("2h", "A Pushgateway or a node may be away for a while.")
    backup_slow_factor: float = knob(
        3.0, "Three times the usual duration is a change, not a slow night."
    )
    backup_slow_least_s: int = knob(1800, "Below half an hour nobody minds, whatever the factor.")
    backup_usual_window: str = knob("7d", "What is usual is the median of a week of runs.")
    backup_usual_offset: str = knob("1d", "The run in question is not part of what is usual.")
    backup_late_window: str = knob("10m", "The rate that predicts the end is an average.")
    backup_late_for: str = knob("10m", "A pause of the governor is no reason to predict a miss.")
    backup_harm_ratio: float = knob(
        0.05, "Others waited in more than a twentieth of the run: the governor was too slow."
    )
    backup_harm_least_s: float = knob(60.0, "Less than a minute of waiting wakes nobody.")
    backup_news_s: int = knob(6 * 3600, "How long a finished run's harm or duration is news.")
    backup_verify_s: int = knob(35 * DAY_S, "A monthly check with some days of slack.")
    backup_unproven_for: str = knob("1d", "A first backup gets a day to be verified.")
    restore_test_s: int = knob(35 * DAY_S, "A monthly test with some days of slack.")


@dataclass(frozen=True, slots=True)
class Links:
    """Where runbooks and dashboards are served; the defaults lead nowhere on purpose."""

    runbooks: str = "https://example.com/knockon/runbooks"
    grafana: str = "https://grafana.example.com"


@dataclass(frozen=True, slots=True)
class Values:
    """What one rendering of the rules is made from."""

    thresholds: Thresholds = Thresholds()
    links: Links = Links()


Table = TypeVar("Table", Thresholds, Links)


def load(path: Path) -> Values:
    """Read a values file (TOML with the tables ``thresholds`` and ``links``)."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: {error}", "alerts/README.md shows a values file") from None
    strange = sorted(document.keys() - {"thresholds", "links"})
    if strange:
        raise UserError(f"{path}: unknown table {strange[0]}", "known: thresholds, links")
    return Values(
        _changed(Thresholds(), document.get("thresholds", {}), path),
        _changed(Links(), document.get("links", {}), path),
    )


def _changed(defaults: Table, given: object, path: Path) -> Table:
    if not isinstance(given, dict):
        raise UserError(f"{path}: a table is expected, not {given!r}", "write [thresholds]")
    known = {one.name: getattr(defaults, one.name) for one in fields(defaults)}
    changed = {name: _checked(name, value, known) for name, value in given.items()}
    return replace(defaults, **changed)


def _checked(name: str, value: object, known: dict[str, object]) -> Any:  # noqa: ANN401
    if name not in known:
        near = get_close_matches(name, known, 1)
        raise UserError(f"{name}: unknown key", f"did you mean {near[0]}?" if near else "")
    default = known[name]
    if isinstance(default, str):
        if not isinstance(value, str) or not value:
            raise UserError(f"{name}: {value!r} is no text", f"the default is {default!r}")
        if _WINDOW.fullmatch(default) and not _WINDOW.fullmatch(value):
            raise UserError(f"{name}: {value!r} is no duration", f"the default is {default!r}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise UserError(f"{name}: {value!r} is no number", f"the default is {default!r}")
    return value


def sentences(thresholds: Thresholds) -> list[tuple[str, object, str]]:
    """Return name, value and reason of every threshold."""
    return [
        (one.name, getattr(thresholds, one.name), one.metadata["says"])
        for one in fields(thresholds)
    ]
