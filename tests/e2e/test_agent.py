"""The whole agent against a journal that is being written and an API server that fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.recorder.ring_read import load_ring
from tests.agents import (
    NODE,
    ROOT,
    Site,
    changed_now,
    explained,
    incidents_told_on_the_node,
    kill_lines,
    now_us,
    oom_lines,
    site,
    uid_of,
    until,
    victims,
)
from tests.fake_api import FakeApi
from tests.fake_certs import HAS_OPENSSL, make_certs
from tests.replay import JournalWriter, entry, journal_writer, remote_tool

TOOL = remote_tool() or ""
BUSY = 4.0
"""A shared machine may be this much slower than the quiet one that the targets are meant for."""

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as server:
        for thing in victims(3):
            server.store.put("pods", thing)
        yield server


@pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")
def test_the_same_over_tls_with_a_client_certificate(tmp_path: Path) -> None:
    with FakeApi(make_certs(tmp_path)) as api:
        api.tokens = set()  # nobody gets in by a token
        for thing in victims(3):
            api.store.put("pods", thing)
        with (
            site(tmp_path, api) as one,
            journal_writer(TOOL, one.journal / "a.journal") as writer,
        ):
            begin(writer, one)
            one.start()
            one.ready()
            hit(writer, api, one)
            assert one.stop() < BUSY * 2.0


@pytest.fixture
def one(tmp_path: Path, api: FakeApi) -> Iterator[Site]:
    with site(tmp_path, api) as made:
        yield made


@pytest.fixture
def writer(one: Site) -> Iterator[JournalWriter]:
    with journal_writer(TOOL, one.journal / "a.journal") as made:
        begin(made, one)
        yield made


def begin(writer: JournalWriter, one: Site) -> None:
    """Let the node have said something before the agent looks: a journal is never empty."""
    writer.write([entry(now_us() - 10**6, "quiet", _SYSTEMD_UNIT="docker.service")])
    until(lambda: any(file.stat().st_size for file in one.journal.glob("*.journal")), one.said)
    time.sleep(0.5)


def hit(writer: JournalWriter, api: FakeApi, one: Site) -> tuple[float, float]:
    """Kill docker, let the sandboxes change; how long until it was open, and explained."""
    begun_s = time.time()
    writer.write(kill_lines())
    until(lambda: "opened:" in one.said(), one.said)
    opened_s = time.time() - begun_s
    for number in range(3):
        api.store.create("events", changed_now(f"web-{number}"))
    until(lambda: len(explained(api)) == 3, one.said)
    return opened_s, time.time() - begun_s


def test_an_incident_is_open_within_a_second_and_explained_within_five(
    one: Site, writer: JournalWriter, api: FakeApi
) -> None:
    one.start()
    one.ready()
    opened_s, explained_s = hit(writer, api, one)
    assert opened_s <= BUSY * 1.0
    assert explained_s <= BUSY * 5.0
    (incident,) = json.loads(one.get("/incidents"))["incidents"]
    document = json.loads(one.get(f"/incidents/{incident['id']}"))
    assert {v["pod"] for v in document["incidents"][0]["victims"]} == {"web-0", "web-1", "web-2"}
    until(lambda: bool(explained(api, "ContainerRuntimeKilled")), one.said)
    until(lambda: bool(explained(api, "IncidentResolved")), one.said)
    (over,) = explained(api, "IncidentResolved")
    assert "all 3 pods it hurt are Ready again." in over["message"]
    until(lambda: 'killer="health_monitor",planned="false"} 1.0' in one.get("/metrics"), one.said)
    assert one.stop() < BUSY * 2.0
    assert load_ring(one.ring, parts=False).samples


def test_the_api_is_away_from_start_to_end_and_comes_back(
    one: Site, writer: JournalWriter, api: FakeApi
) -> None:
    port = api.port
    api.refuse()
    one.start()
    until(lambda: "Listening" in one.said(), one.said)
    until(lambda: one.get("/healthz") != "", one.said)
    writer.write(kill_lines())
    writer.write(oom_lines(uid_of(1)))
    until(lambda: one.said().count("opened:") == 2, one.said)
    time.sleep(3.0)
    assert one.get("/healthz")
    assert explained(api) == []
    for number in range(3):
        api.store.create("events", changed_now(f"web-{number}"))
    api.accept(port)
    until(lambda: bool(explained(api, "ContainerRuntimeKilled")), one.said, 90)
    until(lambda: bool(explained(api, "IncidentResolved")), one.said, 90)
    until(lambda: len(explained(api)) == 4, one.said, 90)  # one of them out of memory as well
    assert one.stop() < BUSY * 2.0
    ids = incidents_told_on_the_node(api)
    assert len(ids) == len(set(ids))


def test_the_journal_is_rotated_under_the_reader(
    one: Site, writer: JournalWriter, api: FakeApi
) -> None:
    one.start()
    one.ready()
    writer.close()
    (one.journal / "a.journal").rename(one.journal / "a@1.journal")
    with journal_writer(TOOL, one.journal / "b.journal") as second:
        second.write([entry(now_us(), "after", _SYSTEMD_UNIT="docker.service")])
        time.sleep(0.5)
        hit(second, api, one)
        (one.journal / "a@1.journal").unlink()
        second.write(oom_lines(uid_of(2)))
        until(lambda: one.said().count("opened:") == 2, one.said)


def test_a_full_state_directory_stops_nothing(tmp_path: Path, api: FakeApi) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32k", "none", str(small)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        (small / "ballast").write_bytes(b"x" * 28_000)
        with (
            site(tmp_path, api, state={"directory": str(small / "state")}) as one,
            journal_writer(TOOL, one.journal / "a.journal") as writer,
        ):
            begin(writer, one)
            one.start()
            one.ready()
            opened_s, explained_s = hit(writer, api, one)
            assert opened_s <= BUSY * 1.0
            assert explained_s <= BUSY * 8.0
            for number in range(40):
                writer.write(oom_lines(uid_of(100 + number)))
            until(lambda: "not kept" in one.said(), one.said)
            assert one.get("/healthz")
            (small / "ballast").unlink()
            assert one.stop() < BUSY * 2.0
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def test_the_clock_is_set_back(one: Site, writer: JournalWriter, api: FakeApi) -> None:
    """As the journal shows it: later entries with earlier times."""
    one.start()
    one.ready()
    hit(writer, api, one)
    until(lambda: "settled:" in one.said(), one.said)
    writer.write([entry(now_us() - 120 * 10**6, "then", _SYSTEMD_UNIT="docker.service")])
    writer.write(oom_lines(uid_of(1), now_us() - 100 * 10**6))
    until(lambda: one.said().count("opened:") == 2, one.said)
    assert one.stop() < BUSY * 2.0


@pytest.mark.parametrize("form", ["bundle", "bundle.tar.gz"])
def test_a_bundle_gives_the_same_answer_as_the_event(
    one: Site, writer: JournalWriter, api: FakeApi, form: str
) -> None:
    one.start()
    one.ready()
    hit(writer, api, one)
    until(lambda: "settled:" in one.said(), one.said)
    (summary,) = json.loads(one.get("/incidents"))["incidents"]
    live = json.loads(one.get(f"/incidents/{summary['id']}"))["incidents"][0]
    out = one.folder / form
    config = one.folder / "config.toml"
    collected = knockon("bundle", "collect", "--config", str(config), "--out", str(out))
    assert f"{form}: " in collected
    told = json.loads(knockon("why", "--bundle", str(out), "--json"))["incidents"]
    (again,) = [one for one in told if one["id"] == live["id"]]
    for part in ("node", "killer", "cause", "victims", "offender", "planned", "verdict"):
        assert again[part] == live[part], part
    for event in explained(api):
        marks = event["metadata"]["annotations"]
        assert marks["knockon.dev/incident"] == again["id"]
        assert marks["knockon.dev/cause"] == again["cause"]
        assert marks["knockon.dev/killer"] == again["killer"]["kind"]
        assert marks["knockon.dev/killer-name"] == again["killer"]["name"]
    until(lambda: len(explained(api, "ContainerRuntimeKilled")) == 1, one.said)
    (of_the_node,) = explained(api, "ContainerRuntimeKilled")
    assert of_the_node["message"].startswith(again["verdict"])
    shutil.rmtree(out, ignore_errors=True)


def knockon(*words: str) -> str:
    command = [sys.executable, "-m", "agent", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_agent_is_started_by_its_command(one: Site) -> None:
    command = [sys.executable, "-m", "agent", "agent", "--config", str(one.config())]
    with one.log.open("ab") as log:
        one.process = subprocess.Popen(command, cwd=ROOT, stderr=log)
    one.starts = 1
    one.ready()
    assert f'"node": "{NODE}"' in one.said()
    assert one.stop() < BUSY * 2.0
    assert one.process.returncode == 0
