"""The API server, asked with the official client: it knows every way to log in. Reading only.

Bodies are taken raw: a pod's own page comes through here too, and nobody vouches for its form.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

from agent.commands.cluster.options import ANSWER_S
from agent.errors import UserError
from agent.sources.untyped import objects, text

MOST_BYTES = 64 << 20
CONNECT_S = 5.0
MOST_AT_ONCE = 16  # threads that ask
_PAGE = 500
_PIECE_BYTES = 256 << 10
_WHOLE = 6  # times as long a whole answer may take as its beginning
_HELP = "--kubeconfig FILE or --context NAME name another; kubectl config view shows them"

Object = Mapping[str, object]


class Refused(Exception):
    """The API server, or what is behind it, answered with an error."""

    def __init__(self, status: int, said: str, what: str) -> None:
        self.status, self.said, self.what = status, said, what
        super().__init__(self.reason)

    @property
    def reason(self) -> str:
        """One line: what may not be done, else what was answered."""
        if self.status == 403:
            return f"you may not {self.what}"
        return f"{self.status} {self.said}" if self.said else f"status {self.status}"


class Unreachable(Exception):
    """Nobody answered, or not in time, or not to the end."""


@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster, as which user."""

    kubeconfig: Path | None = None
    context: str = ""
    answer_s: float = ANSWER_S


@dataclass(frozen=True, slots=True)
class Server:
    """One cluster's API server."""

    client: Any  # kubernetes.client.ApiClient
    namespace: str  # the context's
    answer_s: float = ANSWER_S

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.client.configuration.host)

    def object(self, path: str, what: str) -> Object:
        """Get one object; ``what`` says in RBAC's words what is done. Raises as ``get``."""
        return _mapping(self.get(path, what), what)

    def listed(self, path: str, what: str, **query: str) -> Iterator[Object]:
        """Get all objects of a list, page by page."""
        more = ""
        while True:
            asked = query | {"limit": str(_PAGE)} | ({"continue": more} if more else {})
            page = _mapping(self.get(path, what, **asked), what)
            yield from objects(page, "items")
            more = text(page, "metadata", "continue")
            if not more:
                return

    def get(self, path: str, what: str, **query: str) -> bytes:
        """Get a body; raises Refused for an error, Unreachable for no answer."""
        from urllib3 import Timeout
        from urllib3.exceptions import HTTPError

        url = f"{self.url}{path}{f'?{urlencode(query)}' if query else ''}"
        limit = Timeout(connect=min(CONNECT_S, self.answer_s), read=self.answer_s)
        try:
            answer = self.client.rest_client.pool_manager.request(
                "GET",
                url,
                headers=self._headers(),
                timeout=limit,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                body = _body(answer, self.answer_s * _WHOLE)
            except BaseException:
                answer.close()  # what is left of it must not be the answer to somebody else
                raise
            answer.release_conn()
        except HTTPError as error:
            raise Unreachable(_plainly(error, self.answer_s)) from error
        if answer.status == 401:
            hint = "log in again: kubectl get nodes says how"
            raise UserError(f"{self.url} does not know you (401)", hint)
        if answer.status != 200:
            raise Refused(answer.status, _said(body), what)
        return body

    def _headers(self) -> dict[str, str]:
        """Ask each time: the official client renews a token that has run out."""
        known = self.client.configuration.auth_settings().values()
        made = {one["key"]: one["value"] for one in known if one["in"] == "header" and one["value"]}
        return {"Accept": "application/json, */*", "User-Agent": "knockon", **made}


def connect(access: Access) -> Server:
    """Read the kubeconfig, and log in as it says; raises UserError."""
    try:
        from kubernetes import client, config  # noqa: TID251 - on a laptop
        from urllib3 import disable_warnings
        from urllib3.exceptions import InsecureRequestWarning
        from yaml import YAMLError
    except ModuleNotFoundError as missing:
        raise UserError(
            f"asking a cluster needs {missing.name}", "pip install 'knockon[k8s]'"
        ) from None
    disable_warnings(InsecureRequestWarning)  # whoever wrote the kubeconfig knows
    settings: Any = type.__call__(client.Configuration)
    settings.retries = False
    settings.connection_pool_maxsize = MOST_AT_ONCE  # each keeps its own
    try:
        with _logins() as said:
            namespace = _configured(config, settings, access)
    except (config.ConfigException, YAMLError, ValueError, TypeError, LookupError) as error:
        raise UserError(f"the kubeconfig cannot be used: {str(error)[:300]}", _HELP) from error
    if said:
        raise UserError(f"logging in failed: {said[0][:300]}", "kubectl get nodes says more")
    return Server(client.ApiClient(settings), namespace, access.answer_s)


def _configured(config: Any, settings: Any, access: Access) -> str:  # noqa: ANN401 - the client's
    """Fill in the client's settings; give the namespace that is meant where none is said."""
    named = access.kubeconfig
    if named is not None and not named.is_file():
        raise UserError(f"{named}: no such file", _HELP)
    inside = "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ
    default = Path("~/.kube/config").expanduser()
    if named is None and not access.context and inside and not default.is_file():
        config.load_incluster_config(client_configuration=settings)
        return "default"
    file = None if named is None else str(named)
    config.load_kube_config(file, access.context or None, settings, persist_config=False)
    every, active = config.list_kube_config_contexts(file)
    chosen = next((one for one in every if one["name"] == access.context), active)
    return str((chosen or {}).get("context", {}).get("namespace") or "default")


@contextmanager
def _logins() -> Iterator[list[str]]:
    """Collect what the client logs while an exec plugin fails: it raises nothing then."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root, ours = logging.getLogger(), Collector(logging.ERROR)
    root.addHandler(ours)
    try:
        yield said
    finally:
        root.removeHandler(ours)


def segment(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe=":")


def _body(answer: Any, patience_s: float) -> bytes:  # noqa: ANN401 - urllib3's
    """Read it whole: each piece within the answer's time, all of them within patience."""
    piecewise = getattr(answer, "read1", answer.read)  # urllib3 1 has none
    until_s, pieces, size = monotonic() + patience_s, [], 0
    while piece := piecewise(_PIECE_BYTES):
        pieces.append(bytes(piece))
        size += len(piece)
        if size > MOST_BYTES:
            raise Unreachable(f"an answer of more than {MOST_BYTES >> 20} MiB")
        if monotonic() > until_s:
            raise Unreachable(f"an answer that was not whole within {patience_s:g} s")
    return b"".join(pieces)


def _mapping(body: bytes, what: str) -> Object:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreachable(f"no JSON in answer to: {what}") from None
    if not isinstance(found, dict):
        raise Unreachable(f"no object in answer to: {what}")
    return found


def _said(body: bytes) -> str:
    """The message of a Status, else the first line of whatever it is."""
    try:
        status = json.loads(body)
        said = status["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        said = body[:300].decode("utf-8", "replace").partition("\n")[0]
    return str(said)[:300]


def _plainly(error: Exception, answer_s: float) -> str:
    """Say in a few words what urllib3 says in many."""
    from urllib3.exceptions import (
        ConnectTimeoutError,
        NameResolutionError,
        NewConnectionError,
        ProxyError,
        ReadTimeoutError,
        SSLError,
    )

    if isinstance(error, ReadTimeoutError):
        return f"no answer within {answer_s:g} s"
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"no connection within {min(CONNECT_S, answer_s):g} s"
    if isinstance(error, NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(error, SSLError):
        return f"its certificate is not trusted ({str(error)[:200]})"
    if isinstance(error, ProxyError):
        return f"the proxy does not let us through ({str(error)[:200]})"
    refused = "refused" in str(error).lower()
    return "connection refused" if refused else str(error).rpartition(": ")[2][:200]
