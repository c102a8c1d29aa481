"""Record one scenario: `python -m tests.lab.record SCENARIO OUT_DIR`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from . import capture, samplers
from .box import Box, exit_on_signals
from .image import LabUnavailable
from .samplers import iso
from .scenarios import CHECK_S, SCENARIOS, Scenario, monitor_unit, oom_is_possible

DEFAULT_CACHE = "/var/cache/knockon-lab"
CALM_BEFORE_S = 30
CALM_AFTER_S = 12
LIMIT_BYTES = 250_000


def main(argv: list[str] | None = None) -> int:
    """Record the scenarios asked for; exit 3 when this machine cannot."""
    args = _arguments(argv)
    exit_on_signals()
    every = args.scenario == "all"
    skipped = False
    for name in list(SCENARIOS) if every else [args.scenario]:
        try:
            record(name, args.out / name if every else args.out, args.cache)
        except LabUnavailable as error:
            print(f"lab: {name}: {error}", file=sys.stderr)
            skipped = True
    return 3 if skipped else 0


def record(name: str, out: Path, cache: Path) -> None:
    """Boot a node, play a scenario on it, and write the bundle to `out` in one step."""
    scenario = SCENARIOS[name]
    with Box(cache, kernel_log=scenario.needs_memory_limit) as box:
        if scenario.needs_memory_limit and not oom_is_possible(box):
            raise LabUnavailable("no memory limit can be set in the box; dockerd-oom is skipped")
        _start_pods(box)
        files = _play(box, scenario, name)
        files["journal.export.gz"] = _journal(box, files["meta.json"])
    _write(out, files)
    print(f"lab: {name}: {files['truth.json']['victims'] or 'no victims'} -> {out}")


def _play(box: Box, scenario: Scenario, name: str) -> dict[str, Any]:
    started_s = time.time()
    actions: list[str] = []

    def note(what: str) -> None:
        actions.append(f"{iso(time.time())} {what}")

    probe, pressure = samplers.probe(box), samplers.pressure(samplers.main_disk())
    before = _sandboxes(box)
    with ExitStack() as running:
        for sampler in filter(None, (probe, pressure)):
            running.enter_context(sampler)
        if scenario.monitor:
            _start_monitor(box, scenario.monitor, note)
        time.sleep(CALM_BEFORE_S)
        scenario.act(box, note)
        _settle(box, before, scenario.victims)
        time.sleep(CALM_AFTER_S)
    files: dict[str, Any] = {
        f"{kind}.json.gz": _kube(box, kind) for kind in ("events", "pods", "nodes")
    }
    files["probe.csv"] = probe.csv
    if pressure:
        files["pressure.csv"] = pressure.csv
    window = (started_s, time.time())
    files["meta.json"] = _meta(box, scenario, name, window, actions, sorted(files))
    files["truth.json"] = _truth(scenario, before, json.loads(files["pods.json.gz"]))
    return files


def _start_pods(box: Box) -> None:
    box.check("systemctl start pod-keeper.service && systemctl enable -q pod-keeper.service")
    _settle(box, {}, 4)


def _start_monitor(box: Box, monitor: str, note: Any) -> None:
    unit = monitor_unit(monitor)
    box.check(
        f"mkdir -p /run/systemd/system/{unit}.d && "
        f"printf '[Service]\\nEnvironment=LAB_CHECK_S={CHECK_S}\\n'"
        f" > /run/systemd/system/{unit}.d/lab.conf && "
        f"systemctl daemon-reload && systemctl start {unit}"
    )
    note(f"{unit} started, check timeout {CHECK_S} s")


def _settle(box: Box, before: dict[str, str], changed: int, patience_s: float = 120.0) -> None:
    """Wait until all four pods run and as many sandboxes as expected are new ones."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            now = _sandboxes(box)
            running = len(box.check("docker ps -q", 40).split())
        except (RuntimeError, ValueError):
            now, running = {}, 0
        new = [pod for pod, sandbox in now.items() if before.get(pod) != sandbox]
        if len(now) == 4 and len(new) >= changed and running == 8:
            return
        time.sleep(1)
    raise RuntimeError(f"the pods did not settle: {box.sh('docker ps -a').stdout}")


def _kube(box: Box, kind: str) -> str:
    return box.check(f"cat /var/lib/pod-keeper/{kind}.json")


def _sandboxes(box: Box) -> dict[str, str]:
    return _sandbox_of(json.loads(_kube(box, "pods")))


def _sandbox_of(pods: dict[str, Any]) -> dict[str, str]:
    found = {}
    for pod in pods["items"]:
        sandbox = pod["metadata"]["annotations"].get("knockon.dev/lab-sandbox")
        if sandbox and pod["status"]["phase"] == "Running":
            found[pod["metadata"]["uid"]] = sandbox
    return found


def _truth(scenario: Scenario, before: dict[str, str], pods: dict[str, Any]) -> dict[str, Any]:
    after = _sandbox_of(pods)
    victims = [
        {key: pod["metadata"][name] for key, name in _VICTIM_KEYS}
        for pod in pods["items"]
        if after.get(pod["metadata"]["uid"]) != before.get(pod["metadata"]["uid"])
    ]
    if len(victims) != scenario.victims:
        raise RuntimeError(f"expected {scenario.victims} victims, saw {victims}")
    return {
        "cause": scenario.cause,
        "killer": scenario.killer,
        "victims": victims,
        "quiet": not victims,
        "note": scenario.note,
    }


_VICTIM_KEYS = (("namespace", "namespace"), ("pod", "name"), ("uid", "uid"))


def _meta(
    box: Box,
    scenario: Scenario,
    name: str,
    window: tuple[float, float],
    actions: list[str],
    files: list[str],
) -> dict[str, Any]:
    docker = json.loads(box.check("docker info -f '{{json .}}'"))
    return {
        "schema": "knockon.bundle/v1",
        "node": "lab-node",
        "runtime": f"docker://{docker['ServerVersion']}",
        "cgroup_version": f"v{docker['CgroupVersion']}",
        "recorded_from": iso(window[0]),
        "recorded_to": iso(window[1]),
        "sources": ["journal", *(file.split(".")[0] for file in files)],
        "blind_spots": [],
        "recorder": f"python -m tests.lab.record {name}",
        "staged": {
            "done": actions,
            "real": "systemd as PID 1, journald, dockerd without live-restore, containerd, every "
            "container; all journal lines are what these wrote",
            "simulated": scenario.staged,
            "shared": "pressure and disk counters are those of the whole machine the node ran on, "
            "and process ids in kernel lines are that machine's",
            "scrubbed": "cgroup and file paths of that machine; every kernel line but those of an "
            "out-of-memory kill in the node",
        },
    }


def _journal(box: Box, meta: dict[str, Any]) -> bytes:
    since_s = _epoch(meta["recorded_from"])
    raw = box.export_journal(since_s, _epoch(meta["recorded_to"]))
    own = capture.publishable(raw, box.cgroup, box.scrub)
    if not own:
        raise RuntimeError("the journal is empty")
    return capture.serialise(own)


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _write(out: Path, files: dict[str, Any]) -> None:
    """Write beside `out` first, so that a recording is whole or not there."""
    folder = out.with_name(f".{out.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        text = (
            content if isinstance(content, (str, bytes)) else json.dumps(content, indent=2) + "\n"
        )
        raw = text.encode() if isinstance(text, str) else text
        (folder / name).write_bytes(capture.packed(raw) if name.endswith(".gz") else raw)
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > LIMIT_BYTES:
        raise RuntimeError(f"{folder}: {size} bytes, more than the {LIMIT_BYTES} a story may have")
    shutil.rmtree(out, ignore_errors=True)
    folder.rename(out)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.record", description=__doc__)
    parser.add_argument("scenario", choices=[*SCENARIOS, "all"])
    parser.add_argument("out", type=Path, help="directory to write; replaced when it exists")
    cache = Path(os.environ.get("KNOCKON_LAB_CACHE", DEFAULT_CACHE))
    parser.add_argument("--cache", type=Path, default=cache, help=f"image cache ({cache})")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
