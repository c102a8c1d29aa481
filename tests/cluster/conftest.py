"""A cluster of one node, with one pod that was hurt; with its agent, or without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.behind import agent_pod, listening, stored
from tests.fake_api import FakeApi
from tests.fake_pods import node, pod
from tests.handmade import NODE, founding


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as made:
        made.store.put("pods", pod("pg-0", node=NODE))
        made.store.put("nodes", node(NODE))
        yield made


@pytest.fixture
def agent(api: FakeApi, tmp_path: Path) -> Iterator[int]:
    with listening(stored(tmp_path / "kept", founding())) as port:
        api.store.put("pods", agent_pod(NODE, port))
        yield port
