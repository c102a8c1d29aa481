"""The page as Prometheus reads it: golden, and kept across runs that fail."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

from backup.exits import Exit, Failure
from backup.metrics import (
    TABLE,
    UNNAMED,
    Outlet,
    checked,
    ended,
    file_name,
    named_after,
    page,
    served,
    write_textfile,
)
from tests.backup.cluster import free_port

GOLDEN = Path(__file__).with_name("metrics.golden.txt")
FILE_NAME = file_name(UNNAMED)
VALUES = {(name, "some reason" if label else ""): 1.5 for name, label, _ in TABLE}


def test_the_page_is_the_golden_one() -> None:
    assert page(VALUES, "pg-main").decode() == GOLDEN.read_text("utf-8")


def test_every_metric_is_documented_once() -> None:
    names = [name for name, _, _ in TABLE]
    assert len(set(names)) == len(names)
    assert all(help_text.endswith(".") for _, _, help_text in TABLE)


def test_the_way_it_ended_is_one_of_all() -> None:
    values = ended(Exit.TOO_LATE)
    assert values[("last_run_exit", "too_late")] == 1.0
    assert sum(values.values()) == 1.0
    assert len(values) == len(Exit)


def test_a_failed_run_keeps_the_last_success(tmp_path: Path) -> None:
    write_textfile(tmp_path, {("last_success_timestamp_seconds", ""): 5.0, ("read_bytes", ""): 7.0})
    write_textfile(tmp_path, ended(Exit.FAILED))
    text = (tmp_path / FILE_NAME).read_text()
    assert 'knockon_backup_last_success_timestamp_seconds{database="postgres"} 5.0' in text
    assert "read_bytes" not in text
    assert [one.name for one in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    "before", [b"", b"\xff\xfe{{{", b"knockon_backup_last_success_x nonsense\n"]
)
def test_a_torn_file_is_replaced(tmp_path: Path, before: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(before)
    write_textfile(tmp_path, {("read_bytes", ""): 7.0})
    said = 'knockon_backup_read_bytes{database="postgres"} 7.0'
    assert said in (tmp_path / FILE_NAME).read_text()


def test_a_place_that_is_gone_is_a_complaint_and_no_more(tmp_path: Path) -> None:
    [complaint] = Outlet(tmp_path / "no").keep({})
    assert "not written" in complaint
    [complaint] = Outlet(None, "http://127.0.0.1:1").keep({})
    assert "not pushed" in complaint


def test_the_page_is_served_while_it_runs() -> None:
    port = free_port()
    with served(lambda: {("read_bytes", ""): 42.0}, port):
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert b'knockon_backup_read_bytes{database="postgres"} 42.0' in answer.read()
        with pytest.raises(Failure, match=f"metrics port {port}"), served(dict, port):
            pass


def test_the_gateway_gets_the_page() -> None:
    heard: list[tuple[str, bytes]] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert (
            Outlet(None, f"http://127.0.0.1:{server.server_port}", "pg-main").keep(
                {("read_bytes", ""): 1.0}
            )
            == []
        )
        server.shutdown()
        thread.join()
    [(path, body)] = heard
    assert path.startswith("/metrics/job/knockon_backup")
    assert "/database/pg-main" in path
    assert b'knockon_backup_read_bytes{database="pg-main"} 1.0' in body


def test_two_databases_on_one_node_keep_a_file_each(tmp_path: Path) -> None:
    for name, read in (("pg-main", 1.0), ("pg-other", 2.0)):
        assert Outlet(tmp_path, database=name).keep({("read_bytes", ""): read}) == []
    text = "".join(one.read_text() for one in sorted(tmp_path.iterdir()))
    assert 'knockon_backup_read_bytes{database="pg-main"} 1.0' in text
    assert 'knockon_backup_read_bytes{database="pg-other"} 2.0' in text


def test_a_check_adds_to_what_the_run_left(tmp_path: Path) -> None:
    outlet = Outlet(tmp_path)
    outlet.keep({("last_success_timestamp_seconds", ""): 5.0, ("read_bytes", ""): 7.0})
    outlet.keep(checked("verify", 9.0, 1.0, good=True), "check")
    outlet.keep(ended(Exit.FAILED))
    text = (tmp_path / FILE_NAME).read_text()
    assert 'verify_timestamp_seconds{database="postgres"} 9.0' in text
    assert 'last_success_timestamp_seconds{database="postgres"} 5.0' in text


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("s3://backups/eu/pg-main", "pg-main"),
        ("file:///srv/backups/pg%20one/", "pg-one"),
        ("gs://bucket", "bucket"),
        ("memory://", "postgres"),
        ('file:///a/"}evil\n', "evil"),
        ("file:///" + "x" * 200, "x" * 63),
    ],
)
def test_a_database_is_named_after_the_folder_of_its_backups(place: str, name: str) -> None:
    assert named_after(place) == name
