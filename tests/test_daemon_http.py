"""The one port: what it shows, and that nobody can keep it busy or make it lie."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.daemon.certificates import Tls
from agent.daemon.http import About, Pages, Pulse
from agent.daemon.listener import HttpServer
from agent.daemon.store import Store
from agent.errors import UserError
from agent.sources.kept import kept, packed, unpacked
from tests.daemons import AtOnce
from tests.fake_certs import HAS_OPENSSL, make_certs
from tests.handmade import founding
from tests.pages import read_page
from tests.rings import ring_of


@pytest.fixture
def pages(tmp_path: Path) -> Pages:
    store = Store(tmp_path, AtOnce(), 10, 1 << 20)
    victims = [{"namespace": "prod", "pod": "pg-0", "uid": "u"}]
    known = {"id": "abcd", "node": "n1", "victims": victims}
    store.put("abcd", {"incidents": [known], "stage": "open"}, packed(kept(founding())))
    return Pages(lambda: b"a 1\n", Pulse(), store, about=About("n1"))


@pytest.fixture
def server(pages: Pages) -> Iterator[HttpServer]:
    made = HttpServer(("127.0.0.1", 0), pages)
    made.start()
    yield made
    made.close()


def get(server: HttpServer, path: str, method: str = "GET") -> tuple[int, str, str]:
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        link.request(method, path)
        answer = link.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        link.close()


def test_the_pages(server: HttpServer, pages: Pages) -> None:
    assert get(server, "/metrics") == (200, "text/plain; version=0.0.4; charset=utf-8", "a 1\n")
    assert get(server, "/metrics?x=1")[0] == 200
    status, kind, body = get(server, "/incidents")
    assert (status, kind) == (200, "application/json")
    document = json.loads(body)
    assert document["schema"] == "knockon/v1"
    (one,) = document["incidents"]
    assert (one["id"], one["node"], one["hurt"]) == ("abcd", "n1", 1)
    assert one["victims"] == [{"namespace": "prod", "pod": "pg-0"}]
    assert json.loads(get(server, "/incidents/abcd")[2])["stage"] == "open"
    assert get(server, "/readyz")[0] == 503
    pages.pulse.ready = True
    assert get(server, "/readyz")[0] == 200
    assert get(server, "/healthz")[0] == 200
    assert get(server, "/", "HEAD") == (200, "text/html; charset=utf-8", "")
    live = json.loads(get(server, "/live?since=0")[2])
    assert (live["node"], live["rows"]) == ("n1", [])


def test_the_page_runs_nothing_but_its_own_script(pages: Pages) -> None:
    status, kind, body, headers, *_ = pages.answer("/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    page = read_page(body.decode())
    assert page.unbalanced == []
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; connect-src 'self'; ")
    assert "unsafe" not in policy
    for name, text in page.blocks:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert page.values("style") == []
    places = [*page.values("href"), *page.values("src")]
    assert places
    assert [one for one in places if one.startswith(("/", "http"))] == [], "relative, for proxies"


def test_no_answer_is_guessed_at_or_kept(server: HttpServer) -> None:
    link = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    link.request("GET", "/incidents/abcd")
    headers = link.getresponse().headers
    link.close()
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_the_ring_is_sent_as_it_lies_there(pages: Pages, tmp_path: Path) -> None:
    ring = tmp_path / "a.ring"
    assert pages.answer("/recorder.ring").status == 404
    whole = replace(pages, ring=ring)
    assert whole.answer("/recorder.ring").status == 404
    content = ring_of(ring, 3000, 4 << 20)
    server = HttpServer(("127.0.0.1", 0), whole)
    server.start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/recorder.ring") as answer:
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.read() == content
        status, _, body = get(server, "/recorder.ring", "HEAD")
        assert (status, body) == (200, "")
    finally:
        server.close()


def test_a_whole_diagnosis_can_be_had(pages: Pages) -> None:
    status, kind, raw, *_ = pages.answer("/incidents/abcd/diagnosis")
    assert (status, kind) == (200, "application/zlib")
    there = unpacked(raw)
    assert there
    assert there.diagnosis == founding()


@pytest.mark.parametrize(
    "path",
    [
        "/x",
        "/incidents/abcd/x",
        "/incidents//diagnosis",
        "/incidents/../../etc/passwd",
        "/incidents/",
        "/incidents/none",
    ],
)
def test_there_is_nothing_else(server: HttpServer, path: str) -> None:
    assert get(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(server: HttpServer, method: str) -> None:
    assert get(server, "/incidents/abcd", method)[0] == 501


def test_a_loop_that_stands_still_is_not_healthy(pages: Pages) -> None:
    times_s = iter((0.0, 31.0))
    still = replace(pages, pulse=Pulse(lambda: next(times_s)))
    status, _, said, *_ = still.answer("/healthz")
    assert status == 503
    assert b"heartbeat is 31" in said


def test_callers_that_say_nothing_do_not_keep_others_out(server: HttpServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(12)]
    try:
        assert get(server, "/metrics")[0] == 200
    finally:
        for one in silent:
            one.close()


def test_nonsense_is_refused(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n")
        assert b"414" in line.recv(4096)
    assert get(server, "/metrics")[0] == 200


def test_a_port_in_use_is_one_line(server: HttpServer, pages: Pages) -> None:
    with pytest.raises(UserError, match="cannot listen"):
        HttpServer(("127.0.0.1", server.port), pages)


def asked(link: http.client.HTTPConnection) -> http.client.HTTPResponse:
    link.request("GET", "/metrics")
    return link.getresponse()


@pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")
def test_tls_and_clients_of_the_right_authority(pages: Pages, tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    certs = make_certs(folder)
    tls = Tls(certs.server.certificate, certs.server.key, certs.authority)
    server = HttpServer(("127.0.0.1", 0), pages, tls)
    server.start()
    try:
        context = ssl.create_default_context(cafile=str(certs.authority))
        context.load_cert_chain(certs.client.certificate, certs.client.key)
        link = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
        link.request("GET", "/metrics")
        assert link.getresponse().read() == b"a 1\n"
        link.close()
        stranger = ssl.create_default_context(cafile=str(certs.authority))
        link = http.client.HTTPSConnection("127.0.0.1", server.port, context=stranger, timeout=10)
        with pytest.raises((OSError, http.client.HTTPException)):
            asked(link)
        link.close()
    finally:
        server.close()


def test_a_certificate_that_cannot_be_read_is_one_line(pages: Pages, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="certificate cannot be used"):
        HttpServer(("127.0.0.1", 0), pages, Tls(tmp_path / "a", tmp_path / "b"))


@pytest.mark.skipif(not HAS_OPENSSL, reason="there is no openssl")
def test_a_renewed_certificate_is_used_without_a_restart(pages: Pages, tmp_path: Path) -> None:
    old, new, secret = tmp_path / "old", tmp_path / "new", tmp_path / "secret"
    for folder in (old, new):
        folder.mkdir()
        make_certs(folder)
    secret.symlink_to(old)  # as the kubelet does: one link is swapped, all files are others
    tls = Tls(secret / "server.crt", secret / "server.key", secret / "ca.crt")
    server = HttpServer(("127.0.0.1", 0), pages, tls)
    server.start()
    try:
        assert answers(server.port, old)
        assert not answers(server.port, new)
        swapped = tmp_path / "next"
        swapped.symlink_to(tmp_path / "gone")
        swapped.replace(secret)
        assert answers(server.port, old), "files that are not there leave the last certificate"
        swapped.symlink_to(new)
        swapped.replace(secret)
        assert answers(server.port, new)
        assert not answers(server.port, old), "and the old authority lets nobody in any more"
    finally:
        server.close()


def answers(port: int, folder: Path) -> bool:
    """Whether a client with this folder's certificate and authority is let in."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    try:
        with urllib.request.urlopen(
            f"https://localhost:{port}/healthz", timeout=5, context=context
        ) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
