"""Knock-on itself in the drill: the agent as it runs in a pod, and what it told afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.times import parse
from tests.agents import ROOT, Site, explained, site
from tests.fake_api import FakeApi
from tests.lab.drill.node import NAME, Node, shown_by

_TOLD_S = 60.0
_SETTLE_S = 15.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the agent made of an arm."""

    incidents: tuple[dict[str, Any], ...]
    explained: tuple[str, ...]
    """Pods that were sent an Event with the reason why they were re-created."""
    after_kill_s: float | None = None
    """From the moment the monitor gave up to the first such Event."""

    def as_json(self) -> dict[str, Any]:
        """Return it for the raw data."""
        return {
            "incidents": list(self.incidents),
            "explained": list(self.explained),
            "after_kill_s": self.after_kill_s,
        }


NOBODY = Told((), ())


@dataclass(frozen=True, slots=True)
class Witness:
    """A running agent on a node."""

    one: Site
    api: FakeApi

    def told(self, killed_at_s: float | None, pods: int) -> Told:
        """Wait for what is to be told after a kill; without one, say what is known now."""
        until_s = time.monotonic() + (_TOLD_S if killed_at_s else 0.0)
        while time.monotonic() < until_s and len(explained(self.api)) < pods:
            time.sleep(0.2)
        events = explained(self.api)
        names = tuple(sorted({event["involvedObject"]["name"] for event in events}))
        listed = json.loads(self.one.get("/incidents"))["incidents"]
        incidents = [
            told
            for item in listed
            for told in json.loads(self.one.get(f"/incidents/{item['id']}"))["incidents"]
        ]
        return Told(tuple(incidents), names, self._after_s(killed_at_s))

    def collect(self, bundle: Path) -> None:
        """Take along what the agent had to go by, for `knockon why --bundle`."""
        words: list[str | Path] = [
            "bundle",
            "collect",
            "--config",
            self.one.config(),
            "--since",
            "15m",
        ]
        subprocess.run(
            [sys.executable, "-m", "agent", *words, "--out", bundle.absolute()],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def _after_s(self, killed_at_s: float | None) -> float | None:
        said = (line for line in self.one.lines() if " explained" in str(line.get("says", "")))
        first = next(said, None)
        if first is None or killed_at_s is None:
            return None
        return round(parse(str(first["at"])) - killed_at_s, 2)


def settings_of(booted: Node, check_s: float) -> dict[str, dict[str, object]]:
    """The agent's settings on a node that runs; others after a reboot."""
    root = booted.box.root
    return {
        "node": {"name": NAME, "root": str(root)},
        "journal": {"directory": str(root / "var/log/journal")},
        "probe": {"docker": str(root / "run/docker.sock"), "killer_timeout_s": check_s},
        "processes": {"enabled": True},
        "incidents": {"settle_s": _SETTLE_S},
    }


@contextmanager
def watching(booted: Node, check_s: float, folder: Path) -> Iterator[Witness]:
    """Run the agent on a node, against an API server that shows the node's pods and events."""
    settings = settings_of(booted, check_s)
    with FakeApi() as api, shown_by(api, booted), site(folder, api, **settings) as one:
        one.start()
        one.ready()
        yield Witness(one, api)
