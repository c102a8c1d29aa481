"""How the fake API server answers one request: lists, watches, creations, and scripted faults."""

from __future__ import annotations

import json
import re
import socket
import struct
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.fake_events import faults_of, to_core, to_new
from tests.fake_faults import Fault, Wrong
from tests.fake_proxy import pass_on, pod_name
from tests.fake_store import BadSelector, Exists, Expired, Object, by_labels, merged, selector
from tests.fake_watch import Ended, Wanted, status_object, stream

if TYPE_CHECKING:
    from tests.fake_api import FakeApi

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>events\.k8s\.io)/v1|apis/coordination\.k8s\.io/v1)"
    r"(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<resource>pods|nodes|events|leases)(?:/(?P<name>[^/]+)(?P<proxy>/proxy(?P<page>/.*)?)?)?"
)
_KINDS = {"pods": "Pod", "nodes": "Node", "events": "Event", "leases": "Lease"}
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Any

    @property
    def api(self) -> FakeApi:
        return self.server.api  # type: ignore[no-any-return]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the test looks at ``seen``."""

    def do_GET(self) -> None:
        self._route()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _route(self) -> None:
        from tests.fake_api import Seen

        parts = urlsplit(self.path)
        self._query = dict(parse_qsl(parts.query))
        self._body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.api.received_bytes += len(self._body)
        found = _PATH.fullmatch(parts.path)
        if parts.path in ("/version", "/readyz", "/healthz", "/livez"):
            self._send(200, {"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
            return
        self._page = found["page"] if found and found["proxy"] else None
        resource = "pods/proxy" if found and found["proxy"] else found["resource"] if found else ""
        self._new_form = bool(found and found["group"])
        self._namespace = (found["namespace"] or "") if found else ""
        self._name = unquote(found["name"] or "") if found else ""
        verb = _VERBS.get(self.command) or self._reading()
        self.api.seen.append(Seen(verb, resource, parts.path, self._query))
        if self._turned_away(verb, resource):
            return
        fault = self.api.faults.take(verb, resource)
        if fault is not None and self._fails(fault):
            return
        self._answer(verb, resource, fault)

    def _reading(self) -> str:
        if self._query.get("watch") in ("1", "true"):
            return "watch"
        return "get" if self._name else "list"

    def _turned_away(self, verb: str, resource: str) -> bool:
        if not self.api.lets_in(self.headers.get("Authorization", ""), self.connection):
            self._status(401, "Unauthorized")
        elif not resource:
            self._status(404, "the server could not find the requested resource")
        elif (verb, resource) in self.api.forbidden or (
            not self._namespace and (verb, resource) in self.api.forbidden_everywhere
        ):
            who = 'User "system:serviceaccount:knockon:agent"'
            self._status(403, f'{resource} is forbidden: {who} cannot {verb} resource "{resource}"')
        else:
            return False
        return True

    def _answer(self, verb: str, resource: str, fault: Fault | None) -> None:
        try:
            if resource == "pods/proxy":
                self._pass_on()
            elif verb == "watch":
                self._watch(resource, fault)
            elif verb == "list":
                self._list(resource)
            elif verb == "create":
                self._create(resource, fault)
            else:
                self._one(verb, resource)
        except BadSelector as error:
            self._status(400, str(error))
        except Expired:
            self._status(410, "The resourceVersion for the provided watch is too old.")

    # -- reading ---------------------------------------------------------------------------------

    def _list(self, resource: str) -> None:
        store, query = self.api.store, self._query
        version, things = store.everything(resource, self._namespace)
        asked = int(query.get("resourceVersion") or 0)
        if asked > version:
            self._status(504, f"Too large resource version: {asked}, current: {version}", "1")
            return
        chosen = selector(resource, query.get("fieldSelector", ""))
        labelled = by_labels(query.get("labelSelector", ""))
        found = [self._shown(thing) for thing in things if chosen(thing) and labelled(thing)]
        cached = resource != "events" and query.get("resourceVersion") == "0"
        limit = 0 if cached else int(query.get("limit") or 0)  # the watch cache knows no limit
        start = int(query.get("continue") or 0)
        page = found[start : start + limit] if limit else found[start:]
        meta: dict[str, Any] = {"resourceVersion": str(version)}
        left = len(found) - start - len(page)
        if left:
            meta["continue"] = str(start + len(page))
            if "fieldSelector" not in query:
                meta["remainingItemCount"] = left
        kind = f"{_KINDS[resource]}List"
        self._send(200, {"kind": kind, "apiVersion": "v1", "metadata": meta, "items": page})

    def _pass_on(self) -> None:
        pod = self.api.store.get("pods", self._namespace, pod_name(self._name))
        if pod is None:
            self._status(404, f'pods "{pod_name(self._name)}" not found')
            return
        passed = pass_on(pod, self._name, self._page or "/")
        if passed.error:
            self._status(passed.status, passed.error)
        else:
            self._send_raw(passed.status, passed.kind, passed.body)

    def _one(self, verb: str, resource: str) -> None:
        store = self.api.store
        found = store.get(resource, self._namespace, self._name)
        if found is None:
            self._status(404, f'{resource} "{self._name}" not found')
        elif verb == "delete":
            store.delete(resource, self._namespace, self._name)
            self._status(200, "deleted")
        elif verb == "get":
            self._send(200, self._shown(found))
        else:
            sent = json.loads(self._body)
            whole = merged(found, sent) if verb == "patch" else sent
            put = store.put_over(resource, whole)
            if put is None:
                self._status(409, f'"{self._name}": the object has been modified')
            else:
                self._send(200, self._shown(put))

    def _shown(self, thing: Object) -> Object:
        if "as=PartialObjectMetadata" in self.headers.get("Accept", ""):
            kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            return kind | {"metadata": thing["metadata"]}
        return to_new(thing) if self._new_form else thing

    # -- writing ---------------------------------------------------------------------------------

    def _create(self, resource: str, fault: Fault | None) -> None:
        try:
            sent = json.loads(self._body)
        except ValueError as error:
            self._status(400, f"couldn't read the body: {error}")
            return
        if self._new_form:
            wrong = faults_of(sent, self._namespace)
            if wrong:
                self._status(422, "; ".join(wrong))
                return
            sent = to_core(sent)
        sent.setdefault("metadata", {})["namespace"] = self._namespace
        try:
            made = self.api.store.create(resource, sent)
        except Exists as error:
            self._status(409, f'{resource} "{error}" already exists')
            return
        if fault is not None and fault.wrong is Wrong.DROP_AFTER:
            self._reset()
            return
        self._send(201, self._shown(made))

    def _watch(self, resource: str, fault: Fault | None) -> None:
        api = self.api
        chosen = selector(resource, self._query.get("fieldSelector", ""))
        position = int(self._query.get("resourceVersion") or 0)
        if position == 0:
            position = api.store.everything(resource)[0]
        api.store.since(resource, position)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        wanted = Wanted(resource, self._namespace, self._query, chosen, self._shown)
        api.open_watches[resource] += 1
        api.most_watches[resource] = max(api.most_watches[resource], api.open_watches[resource])
        try:
            ended = stream(api, wanted, position, fault, self.chunk)
        finally:
            api.open_watches[resource] -= 1
        if ended is Ended.RESET:
            self._reset()
        elif ended is Ended.HUNG_UP:
            self._hang_up()

    # -- failing ---------------------------------------------------------------------------------

    def _fails(self, fault: Fault) -> bool:
        """Fail at once where the fault is of that kind."""
        if fault.wrong is Wrong.STATUS:
            self._status(fault.status, fault.message, fault.retry_after)
        elif self._reading() == "watch" or fault.wrong is Wrong.DROP_AFTER:
            return False
        elif fault.wrong is Wrong.RESET:
            self._reset()
        elif fault.wrong is Wrong.SILENCE:
            self.api.stopping.wait(30)
        else:
            self._spoiled_body(fault.wrong)
        return True

    def _spoiled_body(self, wrong: Wrong) -> None:
        body = b'{"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": [{"meta'
        if wrong is Wrong.NOT_JSON:
            body = b"<html>bad gateway</html>"
        length = {Wrong.NOT_JSON: len(body), Wrong.HUGE: 40 << 20}.get(wrong, len(body) * 2)
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        if wrong is Wrong.HUGE:
            self.wfile.write(b"x" * (length - len(body)))
        elif wrong is Wrong.DRIP:
            while not self.api.stopping.wait(0.02):
                self.wfile.write(b" ")
        elif wrong is Wrong.TORN:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True

    def _reset(self) -> None:
        """Close so that the other side sees a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.wfile = _Nowhere()  # type: ignore[assignment]
        self.connection.close()

    # -- sending ---------------------------------------------------------------------------------

    def chunk(self, data: bytes) -> None:
        """Send one chunk of a body without length; an empty one ends it."""
        self.api.sent_bytes += len(data)
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _status(self, code: int, message: str, retry_after: str = "") -> None:
        self._send(code, status_object(code, message), retry_after)

    def _send(self, code: int, thing: Object, retry_after: str = "") -> None:
        self._send_raw(code, "application/json", json.dumps(thing).encode(), retry_after)

    def _send_raw(self, code: int, kind: str, body: bytes, retry_after: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.api.sent_bytes += len(body)
        self.wfile.write(body)


class _Nowhere:
    """Takes what a closed connection can no longer send."""

    closed = True

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...
