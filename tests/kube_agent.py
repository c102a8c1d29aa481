"""A node's agent for the tests of the Kubernetes source, on a clock nobody has to wait for."""

from __future__ import annotations

import random
from collections import Counter

from agent.kube.access import Access
from agent.kube.http import Api
from agent.kube.pace import Clockwork
from agent.kube.pod_changes import Change, PodChange
from agent.kube.source import (
    Tuning,
    watch_pods,
)
from agent.model import BlindSpot, Kind
from tests.fake_api import FakeApi, SimClock
from tests.fake_pods import STARTED_S, ended, pod

NODE = "node-1"
END = "the-end"


def quick() -> Tuning:
    """Patience for a test on real sockets."""
    return Tuning(silent_s=0.3, answer_s=0.5)


class Waits:
    """A clock nobody has to wait for; ``then`` is called as time passes."""

    def __init__(self, clock: SimClock, seed: int = 1) -> None:
        self.clock, self.pauses_s = clock, list[float]()
        self.stop_after = 10_000
        self.stop_at_s = float("inf")
        self.then = list[tuple[float, object]]()
        self.work = Clockwork(clock.now_s, self.wait, random.Random(seed).random)

    def wait(self, for_s: float) -> bool:
        self.pauses_s.append(for_s)
        self.clock.advance(for_s)
        while self.then and self.clock.now_s() >= self.then[0][0]:
            _, action = self.then.pop(0)
            assert callable(action)
            action()
        return len(self.pauses_s) >= self.stop_after or self.clock.now_s() >= self.stop_at_s


class Agent:
    """What a node's agent makes of the stream: the state, and everything told on the way."""

    def __init__(self, api: FakeApi, waits: Waits, access: Access | None = None) -> None:
        self.tuning = quick()
        self.told: list[PodChange] = []
        self.blind: list[BlindSpot] = []
        self.state: dict[str, str] = {}
        self.api = Api(access or api.access())
        self._stream = watch_pods(self.api, NODE, waits.work, self.tuning)

    def until(self, name: str, change: Change = Change.ADDED) -> None:
        """Read on until a pod of that name has changed so."""
        for told in self._stream:
            if isinstance(told, BlindSpot):
                self.blind.append(told)
                continue
            self.told.append(told)
            if told.change is Change.DELETED:
                del self.state[told.pod.name]
            else:
                self.state[told.pod.name] = told.version
            if (told.pod.name, told.change) == (name, change):
                return

    def kinds(self) -> Counter[Kind]:
        return Counter(fact.kind for told in self.told for fact in told.facts)

    def close(self) -> None:
        self._stream.close()  # type: ignore[attr-defined]
        self.api.close()


def truth(api: FakeApi) -> dict[str, str]:
    """Name and version of every pod of this node, as the server has it."""
    return {
        one["metadata"]["name"]: one["metadata"]["resourceVersion"]
        for one in api.store.everything("pods")[1]
        if one["spec"]["nodeName"] == NODE
    }


def life(api: FakeApi, rounds: int = 12) -> None:
    """Pods come, change, crash and go; others live on another node."""
    for index in range(rounds):
        api.store.put("pods", pod(f"db-{index % 3}", restarts=index, last=ended(STARTED_S + index)))
        api.store.put("pods", pod(f"else-{index % 2}", node="node-2", restarts=index))
        if index % 5 == 4:
            api.store.delete("pods", "prod", f"db-{index % 3}")
