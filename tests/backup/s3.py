"""A real S3 server (moto's) in this process, and a valve before it that fails as clouds do."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from obstore.store import S3Store

from backup.store.store import Patience, Store

BUCKET = "backups"
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Fault = Callable[[dict[str, Any]], tuple[str, bytes] | None]


@dataclass(slots=True)
class Valve:
    """Stands before the server: counts requests, and lets ``fault`` answer instead of it."""

    behind: Wsgi
    fault: Fault | None = None
    cut_reads: int = 0  # so many downloads lose their second half
    deaf_to: tuple[str, ...] = ()  # conditions that this store ignores
    seen: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        for name in self.deaf_to:
            environ.pop(name, None)
        answer = self.fault(environ) if self.fault else None
        if answer is not None:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(answer[0], [("Content-Type", "application/xml")])
            return [answer[1]]
        body = b"".join(self.behind(environ, start))
        if environ["REQUEST_METHOD"] == "GET" and self.cut_reads and len(body) > 100_000:
            self.cut_reads -= 1
            return [body[: len(body) // 2]]
        return [body]

    def be_honest(self) -> None:
        """Forget what was seen, and fail no more."""
        self.fault, self.cut_reads, self.deaf_to = None, 0, ()
        self.seen.clear()

    def puts(self, ending: str = "") -> int:
        """How often something was written."""
        return sum(method == "PUT" and path.endswith(ending) for method, path in self.seen)


@dataclass(frozen=True, slots=True)
class S3:
    """The server's address and its valve."""

    endpoint: str
    valve: Valve

    def store(self, bucket: str = BUCKET, **settings: str) -> Store:
        """Open the bucket as the product does, but without waiting between tries."""
        inner = S3Store(
            bucket,
            prefix="some/where",
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=settings.get("access_key_id", "us"),
            secret_access_key="secret",
            client_options={"allow_http": True, "timeout": "20s"},
            retry_config={"max_retries": 0},
        )
        return Store(inner, f"s3://{bucket}/some/where", Patience(), lambda _: None)


@contextlib.contextmanager
def running_s3(bucket: str = BUCKET) -> Iterator[S3]:
    """Start it on a free port with one bucket; all servers of one process share their buckets."""
    pytest.importorskip("moto.server", reason="needs moto[server]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        valve = Valve(DomainDispatcherApplication(create_backend_app))
        server = make_server("127.0.0.1", 0, valve, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            s3 = S3(f"http://127.0.0.1:{server.server_port}", valve)
            _create_bucket(server.server_port, bucket)
            yield s3
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _create_bucket(port: int, bucket: str) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("PUT", f"/{bucket}", headers={"Host": "s3.amazonaws.com"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


def refuse(status: str, code: str) -> tuple[str, bytes]:
    """An answer as S3 words it."""
    return status, f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode()
