"""What is really exposed, by golden pages; and the foreign metrics that rules use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

HERE = Path(__file__).parent
PAGES = (
    HERE / "golden" / "metrics.prom",
    HERE / "golden" / "fleet-metrics.prom",
    HERE / "backup" / "metrics.golden.txt",
)
TARGET = frozenset({"cluster", "node", "namespace", "job", "instance"})
"""Labels that a scrape gives to whatever it reads."""

FOREIGN: Mapping[str, frozenset[str]] = {
    # node_exporter
    "node_pressure_io_stalled_seconds_total": frozenset(),
    "node_pressure_memory_stalled_seconds_total": frozenset(),
    "node_pressure_cpu_waiting_seconds_total": frozenset(),
    "node_cpu_seconds_total": frozenset({"mode", "cpu"}),
    # the kubelet
    "container_pressure_io_stalled_seconds_total": frozenset({"id"}),
    "container_pressure_memory_stalled_seconds_total": frozenset({"id"}),
    "container_pressure_cpu_waiting_seconds_total": frozenset({"id"}),
    # kube-state-metrics
    "kube_node_info": frozenset({"os_image"}),
    "kube_node_status_condition": frozenset({"condition", "status"}),
    "up": frozenset(),  # Prometheus
}
_SELECTOR = re.compile(r"\b([a-z]\w+)\{([^{}]*)\}")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|on|group_left|group_right)\s*\(([\w\s,]*)\)")


@cache
def labels_of() -> Mapping[str, frozenset[str]]:
    """Every metric that somebody exposes, with the labels it has beside those of the target."""
    found: dict[str, frozenset[str]] = dict(FOREIGN)
    for page in PAGES:
        for family in text_string_to_metric_families(page.read_text("utf-8")):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, frozenset()) | sample.labels.keys()
    return found


def metrics_in(query: str) -> set[str]:
    """Names that are metrics: ours by prefix, others by the list above."""
    return set(re.findall(r"\bknockon_\w+", query)) | {
        name for name in FOREIGN if re.search(rf"\b{name}\b(?!:)", query)
    }


def wrong_labels(query: str) -> Iterator[str]:
    """Give each label that a query selects or groups by and that its metrics do not have."""
    known = labels_of()
    for metric, matchers in _SELECTOR.findall(query):
        if metric in known:
            for label in _MATCHER.findall(matchers):
                if label not in known[metric] | TARGET:
                    yield f"{metric} has no label {label}"
    made = set(re.findall(r'"(\w+)", "\$1"', query))  # by label_replace
    there = TARGET | made | {"le"}
    there |= {label for name in metrics_in(query) for label in known.get(name, ())}
    for names in _GROUPING.findall(query):
        for label in filter(None, (name.strip() for name in names.split(","))):
            if label not in there:
                yield f"nothing in {query!r} has a label {label}"
