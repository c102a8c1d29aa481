"""Where the API server is and who we are there: from inside a pod, or from a kubeconfig."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from agent.errors import UserError
from agent.sources.untyped import dig, mapping, objects, text

Object = Mapping[str, object]
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_AS_JSON = "kubectl config view --raw --flatten --minify -o json > kubeconfig.json"
_NOT_SPOKEN = {
    "exec": "runs a program to log in",
    "auth-provider": "uses an auth provider",
    "username": "uses a password, which API servers no longer take",
    "as": "impersonates somebody",
}


@dataclass(frozen=True, slots=True)
class Pem:
    """PEM text: in a file that may be renewed under us, or given inline."""

    file: Path | None = None
    data: bytes = field(default=b"", repr=False)

    def read(self) -> bytes:
        """Return the text as it stands now; an OSError is the caller's to explain."""
        return self.data or (self.file.read_bytes() if self.file else b"")


@dataclass(frozen=True, slots=True)
class Access:
    """One API server, and how it knows us."""

    host: str
    port: int
    tls: bool = True
    prefix: str = ""  # path in front of /api, as behind some proxies
    namespace: str = "default"
    token: str = field(default="", repr=False)
    token_file: Path | None = None  # read for every request: the kubelet renews it hourly
    authority: Pem | None = None  # None: the system's certificate authorities
    certificate: Pem | None = None
    key: Pem | None = None
    server_name: str = ""  # name in the server's certificate where it is not the host
    insecure: bool = False

    def bearer(self) -> str:
        """Return the token as it stands now; none over plain HTTP, where anybody could read it."""
        if not self.tls:
            return ""
        if self.token_file is None:
            return self.token
        return self.token_file.read_text("utf-8", "replace").strip()


def in_cluster(environ: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> Access:
    """Access of the pod's own service account."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise UserError(
            "this does not run in a Kubernetes pod: KUBERNETES_SERVICE_HOST is not set",
            "give a kubeconfig instead",
        )
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"KUBERNETES_SERVICE_PORT is {port!r}, which is no port")
    for name in ("token", "ca.crt"):
        if not (folder / name).is_file():
            raise UserError(
                f"there is no {folder / name}",
                "the pod needs automountServiceAccountToken: true",
            )
    space = folder / "namespace"
    return Access(
        host=host.strip("[]"),
        port=int(port),
        namespace=space.read_text("utf-8").strip() if space.is_file() else "default",
        token_file=folder / "token",
        authority=Pem(folder / "ca.crt"),
    )


def kubeconfig(path: Path, context: str = "", *, insecure: bool = False) -> Access:
    """Access of one context of a kubeconfig; ``insecure`` agrees to an unproven server."""
    config = _parsed(path)
    name = context or text(config, "current-context")
    if not name:
        raise UserError(f"{path} has no current context", "name one of its contexts")
    chosen = _named(config, "contexts", name, path)
    cluster = _named(config, "clusters", text(chosen, "cluster"), path)
    user = _named(config, "users", text(chosen, "user"), path) if text(chosen, "user") else {}
    _refuse_unknown_ways(user, cluster, path)
    if dig(cluster, "insecure-skip-tls-verify") is True and not insecure:
        raise UserError(
            f"{path} asks not to verify who the API server is",
            "add its certificate-authority, or say that this is meant",
        )
    host, port, tls, prefix = _server(text(cluster, "server"), path)
    token_file = text(user, "tokenFile")
    return Access(
        host=host,
        port=port,
        tls=tls,
        prefix=prefix,
        namespace=text(chosen, "namespace") or "default",
        token=text(user, "token"),
        token_file=path.parent / token_file if token_file else None,
        authority=_pem(cluster, "certificate-authority", path),
        certificate=_pem(user, "client-certificate", path),
        key=_pem(user, "client-key", path),
        server_name=text(cluster, "tls-server-name"),
        insecure=dig(cluster, "insecure-skip-tls-verify") is True,
    )


def _parsed(path: Path) -> Object:
    try:
        raw = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", "is that the kubeconfig?") from error
    try:
        config = json.loads(raw)
    except (ValueError, RecursionError):
        config = _parsed_yaml(raw, path)
    if not isinstance(config, Mapping) or "clusters" not in config:
        raise UserError(f"{path} is no kubeconfig: it names no clusters", f"try: {_AS_JSON}")
    return config


def _parsed_yaml(raw: str, path: Path) -> object:
    try:
        import yaml
    except ImportError:
        raise UserError(
            f"{path} is YAML, and PyYAML is not installed", f"write it as JSON: {_AS_JSON}"
        ) from None
    try:
        return yaml.safe_load(raw)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        where = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is neither JSON nor YAML: {where}") from error


def _named(config: Object, group: str, name: str, path: Path) -> Object:
    """The entry called ``name``: kubeconfig keeps it one level down, under the group's singular."""
    for one in objects(config, group):
        if text(one, "name") == name:
            return mapping(one, group.removesuffix("s"))
    there = ", ".join(sorted(filter(None, (text(one, "name") for one in objects(config, group)))))
    raise UserError(f"{path} has no {group.removesuffix('s')} {name!r}", f"there are: {there}")


def _refuse_unknown_ways(user: Object, cluster: Object, path: Path) -> None:
    for key, what in _NOT_SPOKEN.items():
        if user.get(key):
            raise UserError(
                f"{path} {what}, which is not spoken here",
                "make a token: kubectl create token SERVICEACCOUNT, and put it in a kubeconfig",
            )
    if cluster.get("proxy-url"):
        raise UserError(f"{path} goes through a proxy, which is not spoken here")


def _server(url: str, path: Path) -> tuple[str, int, bool, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UserError(f"{path}: {url!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{path}: the server must be https://HOST[:PORT], not {url!r}")
    tls = parts.scheme == "https"
    return parts.hostname, port or (443 if tls else 80), tls, parts.path.rstrip("/")


def _pem(entry: Object, key: str, path: Path) -> Pem | None:
    """A file or its inline twin ``…-data``, which wins as it does in kubectl."""
    inline = text(entry, f"{key}-data")
    if inline:
        try:
            return Pem(data=base64.b64decode(inline, validate=True))
        except (binascii.Error, ValueError) as error:
            raise UserError(f"{path}: {key}-data is not base64") from error
    file = text(entry, key)
    return Pem(path.parent / file) if file else None
