"""Writes a journal in export format as a busy Kubernetes node fills one, the same for a given seed.

The proportions follow recorded nodes: mostly kubelet and containerd, then dockerd, systemd and the
kernel. One line in eleven is a Fact for the rulebook; one in a thousand is a re-creation.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_START_US = 1_700_000_000_000_000
_BOOT = "6f2d8e0b4c5a4e1f9a7b3c2d1e0f9a8b"
_SEQNUM_ID = "0c9b8a7d6e5f4a3b2c1d0e9f8a7b6c5d"
_HEX = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Who writes, how often, with which trusted fields, and what."""

    share: int
    fields: str
    messages: tuple[str, ...]


def _service(name: str, pid: int, path: str) -> str:
    return (
        f"PRIORITY=6\n_UID=0\n_GID=0\n_SYSTEMD_SLICE=system.slice\nSYSLOG_FACILITY=3\n"
        f"_CAP_EFFECTIVE=1ffffffffff\n_TRANSPORT=stdout\nSYSLOG_IDENTIFIER={name}\n_COMM={name}\n"
        f"_EXE={path}/{name}\n_CMDLINE={path}/{name} --config=/etc/{name}/config.yaml --v=2\n"
        f"_SYSTEMD_CGROUP=/system.slice/{name}.service\n_SYSTEMD_UNIT={name}.service\n"
        f"_STREAM_ID=5b1e9d4c3a2f4e7d8c6b5a4f3e2d1c0b\n_PID={pid}\n"
        f"_SYSTEMD_INVOCATION_ID=7d6c5b4a3f2e4d1c9b8a7f6e5d4c3b2a\n"
    )


_KERNEL = "_TRANSPORT=kernel\nSYSLOG_FACILITY=0\nSYSLOG_IDENTIFIER=kernel\nPRIORITY=6\n"
_PID1 = (
    "PRIORITY=6\n_UID=0\n_GID=0\nSYSLOG_FACILITY=3\n_TRANSPORT=journal\nCODE_LINE=634\n"
    "SYSLOG_IDENTIFIER=systemd\nCODE_FILE=src/core/job.c\n_PID=1\n_COMM=systemd\n"
    "_EXE=/usr/lib/systemd/systemd\n_SYSTEMD_CGROUP=/init.scope\n_SYSTEMD_UNIT=init.scope\n"
)
_KUBELET = _service("kubelet", 1841, "/usr/bin")
_CONTAINERD = _service("containerd", 917, "/usr/bin")
_DOCKERD = _service("dockerd", 1203, "/usr/bin").replace("dockerd.service", "docker.service")

_SPEAKERS = (
    _Speaker(
        390,
        _KUBELET,
        (
            (
                'I{klog} 1841 kubelet.go:2453] "SyncLoop (PLEG): event for pod" pod="{ns}/{pod}" '
                'event={{"ID":"{uid}","Type":"ContainerStarted","Data":"{id}"}}'
            ),
            'I{klog} 1841 scope.go:117] "RemoveContainer" containerID="{id}"',
            (
                'E{klog} 1841 cri_stats_provider.go:455] "Failed to get the info of the filesystem '
                'with mountpoint" err="unable to find data in memory cache" mountpoint="/var/lib/x"'
            ),
            (
                'I{klog} 1841 reconciler.go:224] "operationExecutor.MountVolume started for '
                'volume \\"kube-api-access-{short}\\" (UniqueName: '
                '\\"kubernetes.io/projected/{uid}\\") pod \\"{pod}\\" (UID: \\"{uid}\\") " '
                'pod="{ns}/{pod}"'
            ),
        ),
    ),
    _Speaker(
        270,
        _CONTAINERD,
        (
            'time="{logfmt}" level=info msg="StopPodSandbox for \\"{id}\\" returns successfully"',
            (
                'time="{logfmt}" level=info msg="CreateContainer within sandbox \\"{id}\\" for '
                'container &ContainerMetadata{{Name:app,Attempt:0,}}"'
            ),
            (
                'time="{logfmt}" level=info msg="loading plugin '
                '\\"io.containerd.ttrpc.v1.task\\"..." '
                "runtime=io.containerd.runc.v2 type=io.containerd.ttrpc.v1"
            ),
        ),
    ),
    _Speaker(
        90,
        _DOCKERD,
        (
            (
                'time="{logfmt}" level=info msg="ignoring event" container={id} '
                'module=libcontainerd namespace=moby topic=/tasks/delete type="*events.TaskDelete"'
            ),
            (
                'time="{logfmt}" level=error msg="Handler for GET /v1.40/containers/{id}/json '
                'returned error: No such container: {id}"'
            ),
        ),
    ),
    _Speaker(
        100,
        _PID1,
        (
            (
                "run-containerd-io.containerd.runtime.v2.task-k8s.io-{id}-rootfs.mount: "
                "Deactivated successfully."
            ),
            "Started libcontainer container {id}.",
            "var-lib-kubelet-pods-{short}-volumes.mount: Succeeded.",
        ),
    ),
    _Speaker(
        59,
        _KERNEL,
        (
            "cni0: port 4(veth{short}) entered forwarding state",
            "veth{short} (unregistering): left promiscuous mode",
            "IPv6: ADDRCONF(NETDEV_CHANGE): veth{short}: link becomes ready",
        ),
    ),
    _Speaker(
        30,
        _KUBELET,
        (
            (
                'I{klog} 1841 prober.go:107] "Probe failed" probeType="Readiness" pod="{ns}/{pod}" '
                'podUID="{uid}" containerName="app" probeResult="failure" output="HTTP 503"'
            ),
        ),
    ),
    _Speaker(
        60,
        _CONTAINERD,
        (
            'time="{logfmt}" level=info msg="shim disconnected" id={id}',
            (
                'time="{logfmt}" level=warning msg="cleaning up after shim disconnected" id={id} '
                "namespace=k8s.io"
            ),
        ),
    ),
    _Speaker(
        1,
        _KUBELET,
        (
            (
                'I{klog} 1841 kuberuntime_manager.go:488] "Pod sandbox changed, it will be killed '
                'and re-created" pod="{ns}/{pod}"'
            ),
            (
                'E{klog} 1841 kubelet.go:2183] "Skipping pod synchronization" err="PLEG is not '
                'healthy: pleg was last seen active 3m12.3s ago; threshold is 3m0s"'
            ),
        ),
    ),
)


def write_export(path: Path, entries: int, seed: int = 1) -> None:
    """Write ``entries`` entries to ``path``, about 1 kB each."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(_entries(entries, random.Random(seed)))


def _entries(count: int, rng: random.Random) -> Iterator[str]:
    shares = [speaker.share for speaker in _SPEAKERS]
    at_us = _START_US
    for number, speaker in enumerate(rng.choices(_SPEAKERS, shares, k=count)):
        at_us += rng.randrange(500, 40_000)
        message = rng.choice(speaker.messages).format_map(_words(at_us, rng))
        yield _head(number, at_us) + f"{speaker.fields}MESSAGE={message}\n\n"


def _head(number: int, at_us: int) -> str:
    monotonic_us = at_us - _START_US + 60_000_000
    return (
        f"__CURSOR=s={_SEQNUM_ID};i={number + 1:x};b={_BOOT};m={monotonic_us:x};t={at_us:x};"
        f"x={number * 2654435761 % 2**64:x}\n__REALTIME_TIMESTAMP={at_us}\n"
        f"__MONOTONIC_TIMESTAMP={monotonic_us}\n_BOOT_ID={_BOOT}\n"
        f"_MACHINE_ID=1a2b3c4d5e6f4a7b8c9d0e1f2a3b4c5d\n_HOSTNAME=node-1\n_RUNTIME_SCOPE=system\n"
    )


def _words(at_us: int, rng: random.Random) -> dict[str, str]:
    second, fraction_us = divmod(at_us // 1_000_000, 60)[1], at_us % 1_000_000
    digits = "".join(rng.choices(_HEX, k=64))
    minute = at_us // 60_000_000 % 60
    return {
        "klog": f"1114 22:{minute:02}:{second:02}.{fraction_us:06}",
        "logfmt": f"2023-11-14T22:{minute:02}:{second:02}.{fraction_us:06}000Z",
        "ns": rng.choice(("default", "kube-system", "shop")),
        "pod": f"web-{digits[:9]}-{digits[9:14]}",
        "uid": f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-8{digits[15:18]}-{digits[18:30]}",
        "id": digits,
        "short": digits[:8],
    }
