"""One Lease (`coordination.k8s.io/v1`): read, created, and replaced where nobody else did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent.kube.answers import Call, Refusal, Trouble
from agent.kube.http import Api
from agent.sources.untyped import mapping

ANSWER_S = 5.0
_API = "coordination.k8s.io/v1"
Lease = Mapping[str, object]


class LeaseRefused(Exception):
    """The API server did not answer, or not what was asked."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.status or refusal.trouble} {refusal.why}")


@dataclass(slots=True)
class Leases:
    """The one Lease of a namespace and a name, over a connection of its own."""

    api: Api
    namespace: str
    name: str

    def read(self) -> Lease | None:
        """Give it as it is; nothing when nobody has made it so far. Raises LeaseRefused."""
        return self._asked("get", f"/{self.name}", None, Trouble.NOT_FOUND)

    def create(self, spec: Mapping[str, object]) -> bool:
        """Make it; false when somebody else was faster. Raises LeaseRefused."""
        meta = {"name": self.name, "namespace": self.namespace}
        made = {"apiVersion": _API, "kind": "Lease", "metadata": meta, "spec": spec}
        return self._asked("create", "", made, Trouble.EXISTS) is not None

    def replace(self, lease: Lease, spec: Mapping[str, object]) -> bool:
        """Write over the version that was read; false when there is a newer one.

        Asked again over a new connection it may meet its own first success, and then says false:
        the next look finds us as the holder. Raises LeaseRefused.
        """
        made = {**lease, "spec": {**mapping(lease, "spec"), **spec}}
        return self._asked("update", f"/{self.name}", made, Trouble.EXISTS) is not None

    def _asked(self, verb: str, below: str, body: Lease | None, expected: Trouble) -> Lease | None:
        path = f"/apis/{_API}/namespaces/{self.namespace}/leases{below}"
        raw = b"" if body is None else json.dumps(body).encode()
        answer = self.api.request(Call(verb, "leases", path, body=raw), ANSWER_S)
        if not isinstance(answer, Refusal):
            return answer
        if answer.trouble is expected:
            return None
        raise LeaseRefused(answer)
