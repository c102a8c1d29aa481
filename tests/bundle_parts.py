"""A small whole bundle, and every form it may come in."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from agent.model import BlindSpot, Record
from agent.sources.bundle import BUNDLE_SCHEMA, Bundle

JOURNAL = (
    b"__CURSOR=a\n__REALTIME_TIMESTAMP=1795434346000000\n_HOSTNAME=node-1\n_MACHINE_ID=m1\n"
    b"_BOOT_ID=b1\n_TRANSPORT=stdout\nMESSAGE=first\n\n"
    b"__CURSOR=b\n__REALTIME_TIMESTAMP=1795434400000000\n_HOSTNAME=node-1\n_MACHINE_ID=m1\n"
    b"_BOOT_ID=b1\nMESSAGE=last\n\n"
)
OOM = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-23T11:46:27Z"}
POD = {
    "kind": "Pod",
    "metadata": {"namespace": "shop", "name": "web-1", "uid": "u1"},
    "spec": {"nodeName": "node-1"},
    "status": {"containerStatuses": [{"name": "web", "lastState": {"terminated": OOM}}]},
}
NODE = {
    "kind": "Node",
    "metadata": {"name": "node-1"},
    "status": {
        "nodeInfo": {"machineID": "m1", "bootID": "b-1"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
EVENT = {
    "kind": "Event",
    "involvedObject": {"kind": "Pod", "name": "web-1"},
    "reason": "SandboxChanged",
    "lastTimestamp": "2026-11-23T11:46:36Z",
}
PARTS = {
    "journal.export": JOURNAL,
    "pods.json": json.dumps({"kind": "List", "items": [POD]}).encode(),
    "nodes.json": json.dumps({"kind": "List", "items": [NODE]}).encode(),
    "events.json": json.dumps({"kind": "List", "items": [EVENT]}).encode(),
    "pressure.csv": b"ts,io_some_avg10\n2026-11-23T11:46:00Z,50\n",
    "probe.csv": b"start,cmd,seconds,rc\n2026-11-23T11:46:00Z,docker ps,12,0\n",
    "meta.json": json.dumps({"schema": BUNDLE_SCHEMA, "node": "node-1"}).encode(),
    "README.txt": b"Nov 23 11:00:00 h systemd[1]: a line that is no evidence\n",
    "actions.log": b"2026-11-23T11:56:29.248Z somebody did something\n",
}


def folder(path: Path, parts: dict[str, bytes]) -> Path:
    path.mkdir(exist_ok=True)
    for name, raw in parts.items():
        (path / name).write_bytes(raw)
    return path


def zipped(path: Path, parts: dict[str, bytes]) -> Path:
    return folder(path, {f"{name}.gz": gzip.compress(raw) for name, raw in parts.items()})


def archive(parts: dict[str, bytes], mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as tar:  # type: ignore[call-overload]
        for name, raw in parts.items():
            info = tarfile.TarInfo(f"bundle/{name}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return made.getvalue()


def tarred(path: Path, parts: dict[str, bytes]) -> Path:
    path.write_bytes(archive(parts))
    return path


def tar_gzipped(path: Path, parts: dict[str, bytes]) -> Path:
    path.write_bytes(archive(parts, "w:gz"))
    return path


def tar_zstd(path: Path, parts: dict[str, bytes]) -> Path:
    zstandard = pytest.importorskip("zstandard")
    path.write_bytes(zstandard.compress(archive(parts)))
    return path


def records(bundle: Bundle) -> list[Record]:
    return [one for one in bundle.records() if isinstance(one, Record)]


def blind(bundle: Bundle) -> str:
    streamed = [one for one in bundle.records() if isinstance(one, BlindSpot)]
    return "; ".join(one.why for one in [*bundle.blind, *streamed])
