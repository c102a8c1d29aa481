"""Metrics of a run: one table, served while it runs and kept for the scrape that comes later.

A CronJob's pod is gone before most scrapes, so what was measured is also written to a directory of
node-exporter's textfile collector or pushed to a Pushgateway. A failed run keeps the last success.
Each metric bears the label ``database``: a node's directory and a gateway are shared by many.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry, pushadd_to_gateway, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from backup.exits import Exit, Failure, reason_word

PREFIX = "knockon_backup_"
UNNAMED = "postgres"
_LONGEST_NAME = 63
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")
# name, label, what it says: the one table; anything else is refused.
TABLE: tuple[tuple[str, str, str], ...] = (
    ("running", "", "1 while a backup runs."),
    ("last_success_timestamp_seconds", "", "When the last good backup was published."),
    ("last_run_timestamp_seconds", "", "When the last run ended, well or not."),
    ("last_run_exit", "reason", "1 for how the last run ended."),
    ("duration_seconds", "", "How long the run took, or takes so far."),
    ("deadline_timestamp_seconds", "", "When the run must be done."),
    ("expected_bytes", "", "What the server expects to send."),
    ("read_bytes", "", "What the server has sent."),
    ("wal_bytes", "", "WAL received beside the backup."),
    ("stored_bytes", "", "What the store keeps of it."),
    ("store_retries", "", "Requests to the store that had to be made again."),
    ("achieved_bytes_per_second", "", "Rate of reading."),
    ("allowed_bytes_per_second", "", "Rate the governor allows."),
    ("max_rate_bytes_per_second", "", "MAX_RATE, the server's own brake."),
    ("throttled_seconds", "reason", "Time for which reading was held back."),
    ("harm_seconds", "", "Time in which others waited while the backup read."),
    ("verify_timestamp_seconds", "", "When a backup was last verified."),
    ("verify_seconds", "", "How long verifying took."),
    ("verify_good", "", "1 when it was found good."),
    ("restore_test_timestamp_seconds", "", "When a restore was last tested."),
    ("restore_test_seconds", "", "How long the restore test took."),
    ("restore_test_good", "", "1 when the restored server answered."),
)
_KNOWN = {name: (label, help_text) for name, label, help_text in TABLE}
# Of another run than the one that writes: kept when that one has nothing to say about them.
_KEPT = ("last_success_", "verify_", "restore_test_")

Key = tuple[str, str]
"""A metric's name without the prefix, and its label's value or nothing."""
Values = Mapping[Key, float]


def named_after(place: str) -> str:
    """Name a database by where its backups lie: each has a folder or prefix of its own.

    >>> named_after("s3://backups/eu/pg-main/")
    'pg-main'
    """
    parts = urlsplit(place)
    last = unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.netloc
    return as_name(last) or UNNAMED


def as_name(text: str) -> str:
    """Return what may be a label's value and part of a file's name; nothing where nothing is left.

    >>> as_name("../my db")
    'my-db'
    """
    return _ODD.sub("-", text).strip("-.")[:_LONGEST_NAME]


def file_name(database: str) -> str:
    """Return the textfile of one database: two on one node must not replace each other's."""
    return f"knockon_backup_{database}.prom"


def families(values: Values, database: str) -> Iterator[Metric]:
    """Return the metrics in the table's order."""
    for name, label, help_text in TABLE:
        found = sorted((key[1], value) for key, value in values.items() if key[0] == name)
        if found:
            labels = ["database", *([label] if label else [])]
            family = GaugeMetricFamily(PREFIX + name, help_text, labels=labels)
            for word, value in found:
                family.add_metric([database, *([word] if label else [])], value)
            yield family


def ended(status: Exit) -> dict[Key, float]:
    """Return one value for each way to end, so that an alert sees the change."""
    return {("last_run_exit", reason_word(one)): float(one is status) for one in Exit}


class Live(Collector):
    """Asks for the values when somebody scrapes."""

    def __init__(self, values: Callable[[], Values], database: str) -> None:
        self._values = values
        self._database = database

    def collect(self) -> Iterable[Metric]:
        """Return what the run measures now."""
        return families(self._values(), self._database)


def page(values: Values, database: str = UNNAMED) -> bytes:
    """Return the text of one scrape."""
    return generate_latest(registry_of(lambda: values, database))


def registry_of(values: Callable[[], Values], database: str) -> CollectorRegistry:
    """Return a registry of our own: nothing of the process leaks into it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Live(values, database))
    return registry


@contextlib.contextmanager
def served(
    values: Callable[[], Values], port: int | None, database: str = UNNAMED
) -> Iterator[None]:
    """Serve /metrics while in this block; None serves nothing."""
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, registry=registry_of(values, database))
    except OSError as error:
        raise Failure(
            f"metrics port {port}: {error.strerror}", "--metrics-port", Exit.USER_ERROR
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where the last values are kept: nowhere, in a textfile directory, at a Pushgateway."""

    textfile_folder: Path | None = None
    pushgateway_url: str = ""
    database: str = UNNAMED
    job: str = "knockon_backup"

    def keep(self, values: Values, part: str = "run") -> list[str]:
        """Keep them, and return a complaint for each place that failed: never a reason to fail.

        A run replaces what the run before it said; a check (another ``part``) adds to it.
        """
        complaints: list[str] = []
        if self.textfile_folder is not None:
            try:
                write_textfile(self.textfile_folder, values, self.database, part)
            except OSError as error:
                complaints.append(
                    f"metrics not written to {self.textfile_folder}: {error.strerror}"
                )
        if self.pushgateway_url:
            complaints += self._push(values, part)
        return complaints

    def _push(self, values: Values, part: str) -> list[str]:
        registry = registry_of(lambda: values, self.database)
        grouping = {"database": self.database, "part": part}
        try:
            pushadd_to_gateway(self.pushgateway_url, self.job, registry, grouping, timeout=10)
        except (URLError, OSError, ValueError) as error:
            return [f"metrics not pushed to {self.pushgateway_url}: {error}"]
        return []


def write_textfile(
    folder: Path, values: Values, database: str = UNNAMED, part: str = "run"
) -> None:
    """Replace the file at once, as the collector may read at any moment."""
    path = folder / file_name(database)
    merged = kept(path, _KEPT if part == "run" else ("",)) | dict(values)
    handle, name = tempfile.mkstemp(prefix=".knockon", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(page(merged, database))
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def kept(path: Path, prefixes: tuple[str, ...]) -> dict[Key, float]:
    """Return what an earlier run or check left that this one must not lose."""
    try:
        text = path.read_text("utf-8", "replace")
        return {
            (name, sample.labels.get(_KNOWN[name][0], "")): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if (name := sample.name.removeprefix(PREFIX)) in _KNOWN and name.startswith(prefixes)
        }
    except (OSError, ValueError):
        return {}


def checked(kind: str, now_s: float, took_s: float, *, good: bool) -> dict[Key, float]:
    """Return what a check found: ``kind`` is verify or restore_test."""
    return {
        (f"{kind}_timestamp_seconds", ""): now_s,
        (f"{kind}_seconds", ""): took_s,
        (f"{kind}_good", ""): float(good),
    }
