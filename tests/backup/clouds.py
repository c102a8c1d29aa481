"""Stand-ins for Azure (Azurite, Microsoft's own emulator) and Google (its XML dialect of S3).

No emulator of Google's store that can be had here speaks the XML API that object_store uses. That
API is S3's, but for how one logs in and for the condition "only if new"; so moto answers behind a
translation of these two. What it cannot show is what only Google does.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.backup.cluster import free_port
from tests.backup.s3 import Wsgi, running_s3

_AZURITE = "azurite@3.37.0"
_KEPT = Path("/var/cache/knockon-lab/azurite-3.37.0")
BUCKET = "clouds"
_ACCOUNT = "devstoreaccount1"
_KEY = base64.b64encode(hashlib.sha256(b"a key of our own").digest()).decode()
_AS_SOMEBODY = (
    "AWS4-HMAC-SHA256 Credential=us/20260101/us-east-1/s3/aws4_request, SignedHeaders=host"
)


@contextlib.contextmanager
def running_gs(folder: Path) -> Iterator[dict[str, str]]:
    """Start the Google stand-in with one bucket; give what a process needs to find it."""
    with running_s3(BUCKET) as s3:
        s3.valve.behind = _from_google(s3.valve.behind)
        account = folder / "service-account.json"
        wanted = {"gcs_base_url": s3.endpoint, "disable_oauth": True}
        names = ("client_email", "private_key", "private_key_id")
        account.write_text(json.dumps(wanted | dict.fromkeys(names, "")))
        yield {"GOOGLE_SERVICE_ACCOUNT": str(account)}


def _from_google(s3: Wsgi) -> Wsgi:
    """Translate who asks, and Google's generations: here the number that an ETag spells."""

    def translated(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["HTTP_AUTHORIZATION"] = _AS_SOMEBODY
        environ["HTTP_HOST"] = "s3.amazonaws.com"
        wanted = environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None)
        if wanted == "0":
            environ["HTTP_IF_NONE_MATCH"] = "*"
        elif wanted is not None:
            environ["HTTP_IF_MATCH"] = f'"{int(wanted):032x}"'

        def told(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            tags = [value.strip('"') for name, value in headers if name.lower() == "etag"]
            given = [("x-goog-generation", str(int(tag, 16))) for tag in tags if "-" not in tag]
            return start(status, headers + given, *rest)

        return s3(environ, told)

    return translated


@contextlib.contextmanager
def running_az() -> Iterator[dict[str, str]]:
    """Start Azurite with one container; give what a process needs to find it."""
    program, port = _azurite(), free_port()
    words: list[str | Path] = [
        program,
        "--inMemoryPersistence",
        "--silent",
        "--skipApiVersionCheck",
    ]
    words += ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    environ = os.environ | {"AZURITE_ACCOUNTS": f"{_ACCOUNT}:{_KEY}"}
    process = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, cwd="/")
    try:
        _create_container(f"http://127.0.0.1:{port}/{_ACCOUNT}", patience_s=20)
        yield {
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
            "AZURE_ENDPOINT": f"http://127.0.0.1:{port}/{_ACCOUNT}",
        }
    finally:
        process.kill()  # it waits for its last client's connection else
        process.wait(timeout=10)


def _azurite() -> Path:
    program = _KEPT / "node_modules/.bin/azurite-blob"
    if os.geteuid() != 0 or shutil.which("npm") is None:
        pytest.skip("Azurite comes by npm and is kept in /var/cache, by root")
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            words: list[str | Path] = [
                "npm",
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--prefix",
                _KEPT,
            ]
            done = subprocess.run(
                [*words, _AZURITE], capture_output=True, check=False, timeout=300, cwd=_KEPT
            )
            if done.returncode:
                pytest.skip(f"npm has no {_AZURITE}: {done.stderr.decode(errors='replace')[-200:]}")
    return program


def _create_container(account_url: str, patience_s: float) -> None:
    """Create it by hand: object_store makes no containers (Azure's "Shared Key" signature)."""
    date, version = email.utils.formatdate(usegmt=True), "2021-08-06"
    resource = f"/{_ACCOUNT}/{_ACCOUNT}/{BUCKET}\nrestype:container"
    signed = f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:{version}\n{resource}"
    digest = hmac.digest(base64.b64decode(_KEY), signed.encode(), "sha256")
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {_ACCOUNT}:{base64.b64encode(digest).decode()}",
    }
    url = f"{account_url}/{BUCKET}?restype=container"
    until_s = time.monotonic() + patience_s
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers))
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError) or time.monotonic() > until_s:
                raise
            time.sleep(0.1)
        else:
            return
