"""The few docker calls the pod keeper needs, over the unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import quote, urlencode

SOCKET = "/run/docker.sock"
LABEL = "dev.knockon.lab"
ANSWER_S = 120.0  # A kubelet's runtime request timeout is two minutes as well.


class DockerError(Exception):
    """dockerd said no."""


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def call(method, path, body=None, **query):
    """Return what dockerd answers, parsed; raise `DockerError` or `OSError`."""
    connection = _Connection("localhost", timeout=ANSWER_S)
    target = f"/v1.41{path}" + (f"?{urlencode(query)}" if query else "")
    payload = None if body is None else json.dumps(body)
    try:
        connection.request(method, target, payload, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    except http.client.HTTPException as error:
        raise DockerError(f"{method} {path}: {error!r}") from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise DockerError(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
    return json.loads(text) if text.strip().startswith((b"{", b"[")) else None


def containers():
    """Return all of the lab's containers, dead ones too, newest first."""
    return call("GET", "/containers/json", all=1, filters=json.dumps({"label": [LABEL]}))


def run(name, spec):
    """Create and start a container; return its id."""
    made = call("POST", "/containers/create", spec, name=name)
    call("POST", f"/containers/{made['Id']}/start")
    return made["Id"]


def inspect(container_id):
    """Return everything dockerd knows of one container."""
    return call("GET", f"/containers/{quote(container_id)}/json")


def stop(container_id):
    """Stop a container, by force after five seconds."""
    call("POST", f"/containers/{quote(container_id)}/stop", t=5)


def remove(container_id):
    """Remove a container, running or not."""
    call("DELETE", f"/containers/{quote(container_id)}", force=1)


def version():
    """Return dockerd's version."""
    return call("GET", "/version")["Version"]


def cgroup_driver():
    """Return who makes the containers' groups: ``systemd`` (the default on v2) or ``cgroupfs``."""
    return call("GET", "/info")["CgroupDriver"]
