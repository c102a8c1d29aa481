"""The port's certificate: loaded at start, and again when its files are replaced.

Certificates in a cluster live for days or hours; the kubelet swaps a Secret's files in place.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a certificate and key, and of the authority that clients' must come from."""

    certificate: Path
    key: Path
    client_authority: Path | None = None

    def marks(self) -> tuple[tuple[int, int], ...]:
        """What changes when a file is replaced; nothing while one of them is not there."""
        files = [
            self.certificate,
            self.key,
            *([self.client_authority] * bool(self.client_authority)),
        ]
        try:
            return tuple((one.st_ino, one.st_mtime_ns) for one in map(os.stat, filter(None, files)))
        except OSError:
            return ()

    def context(self) -> ssl.SSLContext:
        """Load them; raises UserError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, password="")
            if self.client_authority:
                context.load_verify_locations(self.client_authority)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:
            what = f"the port's certificate cannot be used: {error}"
            raise UserError(what, "see [http] in the configuration") from error
        return context


class Renewing:
    """Gives each connection the newest certificate that can be used."""

    def __init__(self, tls: Tls) -> None:
        """Load it; raises UserError, so that a mistake is seen at start."""
        self._tls = tls
        self._seen = tls.marks()
        self._context = tls.context()

    def context(self) -> ssl.SSLContext:
        """Look whether the files are others now; what cannot be loaded leaves the last one."""
        marks = self._tls.marks()
        if marks and marks != self._seen:
            self._seen = marks
            try:
                self._context = self._tls.context()
            except UserError:
                self._seen = ()  # half of it may be written: look again at the next connection
        return self._context
