"""What every test may use, and how hypothesis behaves in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

from agent.kube.http import Api
from tests.fake_api import FakeApi, SimClock
from tests.kube_agent import Waits

ROOT = Path(__file__).resolve().parent.parent

# No deadline: a busy machine is not a bug. The pipeline always draws the same examples, so that a
# red build is red again for whoever looks at it.
settings.register_profile("here", deadline=None)
settings.register_profile("pipeline", deadline=None, derandomize=True, database=None)
settings.load_profile("pipeline" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Recordings too large to commit, which lie beside the checkout on some machines."""
    folder = ROOT.parent / "shared"
    if not (folder / "recordings").is_dir():
        pytest.skip("the recordings do not lie beside this checkout")
    return folder


@pytest.fixture
def waits() -> Waits:
    """A clock that only waiting moves."""
    return Waits(SimClock())


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """An API server that is up."""
    with FakeApi() as server:
        yield server


@pytest.fixture
def client(api: FakeApi) -> Iterator[Api]:
    """Our connection to it."""
    with closing(Api(api.access())) as one:
        yield one
