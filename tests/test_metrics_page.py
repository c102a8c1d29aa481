"""The metrics: one table, and a page that Prometheus' own linter accepts."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from agent.daemon.gauges import Gauges
from agent.daemon.metrics import PREFIX, TABLE, Metrics
from agent.model import Cause, Diagnosis, Incident, Killer, KillerKind, Offender, Victim
from tests.golden_files import same_as_golden


def diagnosis(name: str, victims: int = 2) -> Diagnosis:
    incident = Incident(name, "node-1", 1_700_000_000.0, 1_700_000_060.0, ())
    return Diagnosis(
        incident=incident,
        cause=Cause.IO_SATURATION,
        confidence=0.9,
        planned=False,
        killer=Killer(KillerKind.HEALTH_MONITOR, "kube-docker-monitor", 1_700_000_000.0),
        offender=Offender("pod", "pg-backup-1", "prod", "announced itself"),
        victims=tuple(Victim("prod", f"web-{n}") for n in range(victims)),
        chain=(),
        hypotheses=(),
        missing=(),
        verdict="",
    )


def busy() -> Metrics:
    """A node on which something happened."""
    metrics = Metrics("0.1.0")
    gauges = Gauges(metrics)
    gauges.begin()
    gauges.show([diagnosis("aaaa")], [], 0.0)
    gauges.show([diagnosis("bbbb")], [diagnosis("aaaa")], 10.0)
    for took_s in (0.02, 0.3, 70.0, 500.0):
        metrics.observe("runtime_probe_duration_seconds", took_s, "docker")
    metrics.add("runtime_probe_unanswered_total", 1, "docker")
    metrics.set("runtime_probe_last_seconds", 70.0, "docker")
    metrics.total("kube_requests_total", 3, "list", "pods", "200")
    metrics.total("kube_watch_restarts_total", 1, "gone")
    metrics.set("source_up", 1, "journal")
    for name in (
        "announced_backups",
        "journal_lag_seconds",
        "journal_last_entry_timestamp_seconds",
        "journal_unreadable_files",
        "recorder_bytes",
        "recorder_gap_seconds_max",
        "recorder_last_sample_timestamp_seconds",
    ):
        metrics.set(name, 2.0)
    return metrics


def test_the_page_is_as_it_was_last_looked_at() -> None:
    same_as_golden(busy().page().decode(), "metrics.prom")


def test_every_counter_without_open_words_is_there_at_nought() -> None:
    page = Metrics("0.1.0").page().decode()
    open_words = {"incidents_total", "kube_requests_total", "kube_watch_restarts_total"}
    open_words |= {"runtime_probe_unanswered_total"}  # shown once a runtime is asked
    for one in TABLE:
        if one.kind == "counter" and one.name not in open_words:
            found = [line for line in page.splitlines() if line.startswith(PREFIX + one.name)]
            assert found, one.name
            assert all(line.endswith(" 0.0") for line in found)


def test_an_open_incident_shows_its_counter_before_it_counts() -> None:
    metrics = Metrics("0")
    Gauges(metrics).show([diagnosis("aaaa")], [], 0.0)
    labels = 'cause="io_saturation",killer="health_monitor",planned="false"'
    assert f"knockon_incidents_total{{{labels}}} 0.0" in metrics.page().decode()


def test_gauges_of_incidents_are_bounded_and_end() -> None:
    metrics = Metrics("0")
    gauges = Gauges(metrics)
    gauges.show([], [diagnosis(f"{n:04x}", victims=20) for n in range(50)], 0.0)
    page = metrics.page().decode()
    assert page.count("knockon_open_incident_info{") == 20
    assert page.count("knockon_open_incident_victim{") == 110
    gauges.show([], [], 1000.0)
    assert "knockon_open_incident_info{" not in metrics.page().decode()


def test_an_incident_that_grew_after_it_had_settled_is_shown_with_its_victims() -> None:
    metrics = Metrics("0")
    gauges = Gauges(metrics)
    gauges.show([], [diagnosis("aaaa", victims=1)], 0.0)
    counted = metrics.page().decode().count("knockon_incidents_total{")
    gauges.show([], [], 2000.0, grown=[diagnosis("aaaa", victims=3)])
    page = metrics.page().decode()
    assert page.count('knockon_open_incident_victim{incident="aaaa"') == 3
    assert page.count("knockon_incidents_total{") == counted


def test_a_total_that_somebody_else_counts_never_goes_back() -> None:
    metrics = Metrics("0")
    metrics.total("pressure_waiting_seconds_total", 5.0, "io")
    metrics.total("pressure_waiting_seconds_total", 3.0, "io")
    assert metrics.value("pressure_waiting_seconds_total", "io") == 5.0


def test_what_is_not_in_the_table_is_refused() -> None:
    metrics = Metrics("0")
    with pytest.raises(ValueError, match="labels"):
        metrics.add("journal_entries_total", 1)
    with pytest.raises(ValueError, match="gauge"):
        metrics.add("recorder_bytes", 1)
    with pytest.raises(KeyError):
        metrics.add("nothing", 1)


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=20)


@given(st.lists(WORD, min_size=4, max_size=4), st.floats(0))
def test_whatever_a_pod_is_called_prometheus_reads_the_same(words: list[str], at: float) -> None:
    metrics = Metrics("0")
    metrics.replace("open_incident_victim", {tuple(words): at})
    families = list(text_string_to_metric_families(metrics.page().decode()))
    (found,) = [one for one in families if one.name == "knockon_open_incident_victim"]
    labels = ("incident", "victim_namespace", "victim_pod", "victim_owner_kind")
    assert [(s.labels, s.value) for s in found.samples] == [
        (dict(zip(labels, words, strict=True)), at)
    ]
    assert {f"knockon_{one.name.removesuffix('_total')}" for one in TABLE} >= {
        one.name for one in families
    }


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_has_nothing_to_say() -> None:
    for metrics in (Metrics("0.1.0"), busy()):
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=metrics.page(), capture_output=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, b"")
