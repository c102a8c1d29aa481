"""A certificate authority for a test: a server's and a client's certificate, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HAS_OPENSSL = shutil.which("openssl") is not None
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certs:
    """Everything both sides need."""

    authority: Path
    server: Pair
    client: Pair


def make_certs(folder: Path) -> Certs:
    """Write an authority, a server certificate for this machine, and a client's, into a folder."""
    root = Pair(folder / "ca.crt", folder / "ca.key")
    _openssl(
        *("req", "-x509", *_KEY, "-days", "2", "-subj", "/CN=test authority"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", str(root.key), "-out", str(root.certificate)),
    )
    server = _signed(folder, root, "server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    client = _signed(folder, root, "client", "extendedKeyUsage=clientAuth")
    return Certs(root.certificate, server, client)


def _signed(folder: Path, root: Pair, name: str, extension: str) -> Pair:
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    asked, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text(f"{extension}\n", encoding="ascii")
    _openssl(
        "req", "-new", *_KEY, "-subj", f"/CN={name}", "-keyout", str(pair.key), "-out", str(asked)
    )
    _openssl(
        *("x509", "-req", "-days", "2", "-in", str(asked), "-out", str(pair.certificate)),
        *("-CA", str(root.certificate), "-CAkey", str(root.key), "-CAcreateserial"),
        *("-extfile", str(extensions)),
    )
    return pair


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
