"""A TLS context for an Access, without a secret ever touching a disk."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from agent.kube.access import Access


def tls_context(access: Access) -> ssl.SSLContext:
    """Build the context from the files as they are now, so that renewed ones are picked up.

    Raises ``OSError`` (which ``ssl.SSLError`` is) when a certificate or key cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif access.authority is not None:
        context.load_verify_locations(cadata=access.authority.read().decode("ascii", "replace"))
    else:
        context.load_default_certs()
    if access.certificate is not None:
        both = access.certificate.read() + b"\n"
        if access.key is not None:
            both += access.key.read()
        with _in_memory(both) as path:
            context.load_cert_chain(path, password="")  # else OpenSSL asks on the terminal
    return context


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A path for an API that insists on one: memory of this process only, gone afterwards."""
    handle = os.memfd_create("knockon-pem", os.MFD_CLOEXEC)
    try:
        with os.fdopen(handle, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)
