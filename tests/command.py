"""Run the command as a process, on bundles made the way people make them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KILL_US = 1_526_925_761_250_000  # 2018-05-21 18:02:41.25 UTC
NODE = "n1"
MONITOR = {
    "MESSAGE": "Docker daemon failed!",
    "_SYSTEMD_UNIT": "kube-docker-monitor.service",
    "_TRANSPORT": "stdout",
    "_UID": "0",
}
WELL = {"MESSAGE": "all is well", "_SYSTEMD_UNIT": "x.service"}
CHANGED = "Pod sandbox changed, it will be killed and re-created."
PODS = (("prod", "pg-0"), ("prod", "web-1"))


def knockon(
    *words: str | Path, stdin: str | bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command; output is decoded only if it is UTF-8."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", *map(str, words)],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUTF8": "1", "COLUMNS": "100", **(env or {})},
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def is_one_line(stderr: str) -> bool:
    return stderr.startswith("knockon: ") and stderr.count("\n") == 1 and stderr.endswith("\n")


def entry(offset_s: float, fields: dict[str, str]) -> dict[str, str]:
    at_us = KILL_US + round(offset_s * 1e6)
    known = {"__REALTIME_TIMESTAMP": str(at_us), "_BOOT_ID": "b" * 32, "_HOSTNAME": NODE}
    return {"__CURSOR": f"s={at_us}", "__MONOTONIC_TIMESTAMP": "1", **known, **fields}


def event(namespace: str, pod: str, reason: str, message: str) -> dict[str, object]:
    return {
        "kind": "Event",
        "reason": reason,
        "message": message,
        "type": "Normal",
        "count": 1,
        "lastTimestamp": "2018-05-21T18:02:53Z",
        "source": {"component": "kubelet", "host": NODE},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": pod, "uid": f"u-{pod}"},
        "metadata": {"name": f"{pod}.1", "namespace": namespace},
    }


def pod(namespace: str, name: str) -> dict[str, object]:
    owner = {"kind": "StatefulSet", "name": name.rpartition("-")[0], "controller": True}
    meta = {
        "namespace": namespace,
        "name": name,
        "uid": f"u-{name}",
        "ownerReferences": [owner],
    }
    return {"metadata": meta, "spec": {"nodeName": NODE, "containers": []}, "status": {}}


def bundle(folder: Path, entries: Sequence[dict[str, str]], events: Sequence[object]) -> Path:
    """Make a bundle the way a person with journalctl and kubectl would."""
    folder.mkdir()
    journal = "".join(f"{json.dumps(line)}\n" for line in entries)
    (folder / "journal.json").write_text(journal)
    for name, items in (("events", list(events)), ("pods", [pod(*one) for one in PODS])):
        (folder / f"{name}.json").write_text(json.dumps({"kind": "List", "items": items}))
    return folder


def killed_bundle(folder: Path) -> Path:
    """Make the founding incident: a monitor kills docker, and two pods are re-created."""
    exited = "docker.service: Main process exited, code=killed, status=9/KILL"
    pid1 = {"_PID": "1", "_COMM": "systemd", "_TRANSPORT": "journal", "UNIT": "docker.service"}
    lines = [
        entry(-60, WELL),
        entry(0, MONITOR),
        entry(1, {**pid1, "MESSAGE": exited}),
        entry(2, {"MESSAGE": "Docker daemon failed!", "_TRANSPORT": "syslog", "_UID": "1000"}),
        entry(60, WELL),
    ]
    return bundle(folder, lines, [event(*one, "SandboxChanged", CHANGED) for one in PODS])


def calm_bundle(folder: Path) -> Path:
    """Make a bundle in which nothing happens."""
    return bundle(folder, [entry(0, WELL), entry(60, WELL)], [])


def puzzling_bundle(folder: Path) -> Path:
    """Make a bundle in which a pod is re-created for no reason to be seen."""
    events = [event(*PODS[0], "SandboxChanged", CHANGED)]
    return bundle(folder, [entry(0, WELL), entry(60, WELL)], events)
