"""Opens the place that a URL names: a directory, a bucket, or memory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, from_url

from agent.errors import UserError
from agent.printable import safe
from backup.store.errors import complaint

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("file", "s3", "gs", "az", "memory")
# Of one request: a part of 64 MiB over a slow line takes minutes.
_REQUEST_TIMEOUT = "300s"


def opened(url: str, *, create: bool) -> ObjectStore:
    """Open a place; only a directory is ever created, and only where asked for."""
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise UserError(
            f"{safe(url, 120)} is no place for a backup",
            "write file:///dir, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix",
        )
    if scheme == "memory":
        return MemoryStore()
    return _directory(url, create=create) if scheme == "file" else _remote(url)


def _directory(url: str, *, create: bool) -> LocalStore:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UserError(f"{url} names no directory here", "write file:///absolute/path")
    folder = Path(unquote(parts.path))
    try:
        if create:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not folder.is_dir():
            raise UserError(f"{folder} is not a directory", "create it, or mend the path")
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}", "check the path and its owner") from None
    return LocalStore(folder)


def _remote(url: str) -> ObjectStore:
    try:
        return from_url(
            url,
            client_options={
                "timeout": _REQUEST_TIMEOUT,
                "connect_timeout": "10s",
                "allow_http": _plain_http(),
            },
            retry_config={"max_retries": 0},
        )
    except BaseError as error:
        told = complaint(error, url)
        raise UserError(
            told.message, "see the cloud's own variables: AWS_*, GOOGLE_*, AZURE_*"
        ) from None


def _plain_http() -> bool:
    """Whoever names an endpoint with http:// has decided that already."""
    names = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_ENDPOINT")
    named = [os.environ.get(name, "") for name in names]
    return any(one.startswith("http://") for one in [*named, _google_endpoint()])


def _google_endpoint() -> str:
    """Google's is in the service account's file, and only an emulator has one there."""
    try:
        told = json.loads(Path(os.environ.get("GOOGLE_SERVICE_ACCOUNT", "")).read_bytes())
    except (OSError, ValueError):
        return ""  # whoever opens the store says what is wrong with it
    return str(told.get("gcs_base_url", "")) if isinstance(told, dict) else ""
