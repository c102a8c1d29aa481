"""One leader at a time, by a Lease (`coordination.k8s.io/v1`) and the official client.

Whoever finds the Lease unchanged for longer than it lasts takes it over; a replace under the
version that was read lets only one of many succeed. Foreign clocks are never compared with ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.kube.access import Access, Pem

_ANSWER_S = 5.0


@dataclass(slots=True)
class Election:
    """The candidacy of one process."""

    leases: Any  # kubernetes.client.CoordinationV1Api
    namespace: str
    name: str
    identity: str
    lease_s: float
    steady_s: Callable[[], float]
    now_s: Callable[[], float]
    why: str = ""  # what went wrong last
    _seen: tuple[object, ...] = ()
    _seen_at_s: float = field(default=0.0)
    _renewed_at_s: float = field(default=float("-inf"))

    @property
    def leads(self) -> bool:
        """Whether we may still act: two thirds of the Lease have not passed since it was ours."""
        return self.steady_s() - self._renewed_at_s < self.lease_s * 2 / 3

    def step(self) -> bool:
        """Take or renew the Lease if that is possible; true when it is ours now."""
        from kubernetes.client.exceptions import ApiException  # noqa: TID251 - one replica a cluster
        from urllib3.exceptions import HTTPError

        asked_s = self.steady_s()
        try:
            ours = self._taken(asked_s)
        except ApiException as error:
            self.why = f"{error.status} {error.reason}"
            return False
        except HTTPError as error:
            self.why = str(error)[:300]
            return False
        self.why = ""
        if ours:
            self._renewed_at_s = asked_s  # before the request: the server may have been slow
        return ours

    def resign(self) -> None:
        """Let go, so that another replica need not wait."""
        if not self.leads:
            return
        lease = self._read()
        if lease is not None and lease.spec.holder_identity == self.identity:
            lease.spec.holder_identity = ""
            lease.spec.lease_duration_seconds = 1
            self._replace(lease)
        self._renewed_at_s = float("-inf")

    def _taken(self, at_s: float) -> bool:
        lease = self._read()
        if lease is None:
            return self._create()
        spec = lease.spec
        seen = (spec.holder_identity, spec.renew_time, spec.lease_transitions)
        if seen != self._seen:
            self._seen, self._seen_at_s = seen, at_s
        theirs = spec.holder_identity not in (None, "", self.identity)
        lasts_s = float(spec.lease_duration_seconds or self.lease_s)
        if theirs and at_s - self._seen_at_s < lasts_s:
            return False
        if spec.holder_identity != self.identity:
            spec.lease_transitions = (spec.lease_transitions or 0) + 1
            spec.acquire_time = self._now()
        self._fill(spec)
        return self._replace(lease)

    def _fill(self, spec: Any) -> None:  # noqa: ANN401 - V1LeaseSpec
        spec.holder_identity = self.identity
        spec.lease_duration_seconds = max(1, round(self.lease_s))
        spec.renew_time = self._now()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s(), UTC)

    def _read(self) -> Any:  # noqa: ANN401 - V1Lease or None
        from kubernetes.client.exceptions import ApiException  # noqa: TID251 - see above

        try:
            return self.leases.read_namespaced_lease(
                self.name, self.namespace, _request_timeout=_ANSWER_S
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def _create(self) -> bool:
        from kubernetes import client  # noqa: TID251 - see above

        spec = client.V1LeaseSpec(acquire_time=self._now(), lease_transitions=0)
        self._fill(spec)
        meta = client.V1ObjectMeta(name=self.name)
        return self._won(
            lambda: self.leases.create_namespaced_lease(
                self.namespace, client.V1Lease(metadata=meta, spec=spec), _request_timeout=_ANSWER_S
            )
        )

    def _replace(self, lease: Any) -> bool:  # noqa: ANN401 - V1Lease
        return self._won(
            lambda: self.leases.replace_namespaced_lease(
                self.name, self.namespace, lease, _request_timeout=_ANSWER_S
            )
        )

    def _won(self, write: Callable[[], object]) -> bool:
        from kubernetes.client.exceptions import ApiException  # noqa: TID251 - see above

        try:
            write()
        except ApiException as error:
            if error.status == 409:  # somebody else was faster
                return False
            raise
        return True


def leases_of(access: Access, scratch: Path) -> Any:  # noqa: ANN401 - CoordinationV1Api
    """Make the official client for an Access; it wants certificates as files."""
    from kubernetes import client  # noqa: TID251 - one replica a cluster, where 76 MiB are bearable

    known = client.Configuration()
    scheme = "https" if access.tls else "http"
    host = f"[{access.host}]" if ":" in access.host else access.host
    known.host = f"{scheme}://{host}:{access.port}{access.prefix}"
    known.verify_ssl = not access.insecure
    known.retries = False
    known.ssl_ca_cert = _file(access.authority, scratch)
    known.cert_file, known.key_file = _file(access.certificate, scratch), _file(access.key, scratch)
    if access.server_name:
        known.tls_server_name = access.server_name

    def renew(configuration: Any) -> None:  # noqa: ANN401 - the kubelet renews the token hourly
        token = access.bearer()
        configuration.api_key = {"authorization": f"Bearer {token}"} if token else {}

    renew(known)
    known.refresh_api_key_hook = renew  # type: ignore[assignment]
    return client.CoordinationV1Api(client.ApiClient(known))


def _file(pem: Pem | None, scratch: Path) -> str | None:
    if pem is None:
        return None
    if pem.file is not None and not pem.data:
        return str(pem.file)
    with tempfile.NamedTemporaryFile(dir=scratch, delete=False) as file:
        file.write(pem.read())
    return file.name
