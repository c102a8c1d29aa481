"""How the fake API server passes a request on to a pod: the ``pods/NAME/proxy`` subresource.

As the real one (registry/core/pod/rest/subresources.go): ``[https:]NAME[:PORT]``, without a look at
the pod's certificate and without one of its own, and 503 where nobody answers there.
"""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"(?:(?P<scheme>https?):)?(?P<name>[^:]+)(?::(?P<port>\d*))?")
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Passed:
    """What came back, or an error of the API server's own as a message."""

    status: int
    body: bytes = b""
    kind: str = ""
    error: str = ""


def pod_name(segment: str) -> str:
    """The pod that a part of a path names."""
    found = _NAME.fullmatch(segment)
    return found["name"] if found else segment


def pass_on(pod: Mapping[str, Any], segment: str, path: str) -> Passed:
    """Ask the pod's own port."""
    found = _NAME.fullmatch(segment)
    host = pod.get("status", {}).get("podIP")
    if found is None or not host:
        return Passed(500 if found else 400, error="address not allowed")
    port = int(found["port"] or 80)
    try:
        link = _link(found["scheme"] or "http", host, port)
        try:
            link.request("GET", path or "/")
            answer = link.getresponse()
            kind = answer.getheader("Content-Type", "")
            return Passed(answer.status, answer.read(), kind)
        finally:
            link.close()
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", "") or str(error)
        why = f"dial tcp {host}:{port}: connect: {said.lower()}"
        return Passed(503, error=f"error trying to reach service: {why}")


def _link(scheme: str, host: str, port: int) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_PATIENCE_S, context=anybody)
