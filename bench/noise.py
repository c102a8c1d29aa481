"""Ordinary lines of an ordinary node, with the words that fool keyword searches left in.

Nothing in here is an incident: applications complain, probes fail once, jobs end, disks are
scanned, people log in. Whatever a diagnosis makes of these lines is a false alarm.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from agent.model import Record, Trust

START_S = 1_700_000_000.0
_SERVICE = {"_TRANSPORT": "stdout", "_UID": "0", "_HOSTNAME": "node-1"}

KUBELET = (
    '"SyncLoop (PLEG): event for pod" pod="shop/web-{n}" event={{"Type":"ContainerStarted"}}',
    '"Probe failed" probeType="Readiness" pod="shop/web-{n}" output="HTTP probe failed: 503"',
    '"Probe failed" probeType="Liveness" pod="shop/web-{n}" output="context deadline exceeded"',
    '"No ready sandbox for pod can be found. Need to start a new one" pod="shop/job-{n}"',
    '"RemoveContainer" containerID="{id}"',
    '"Cleaned up orphaned pod volumes dir" podUID="{id}"',
    '"MountVolume.SetUp succeeded for volume" volumeName="kube-api-access" pod="shop/web-{n}"',
    '"Failed to get the info of the filesystem with mountpoint" err="not in memory cache"',
    '"Image garbage collection succeeded"',
    '"Updated runtime state" memory="ok" disk="no pressure"',
    '"DeleteContainer returned error" err="failed to get container status: NotFound"',
    '"Certificate rotation is enabled"',
    '"Observed pod startup duration" pod="shop/web-{n}" podStartSLOduration=3.{n}',
    '"Back-off restarting failed container" pod="shop/crash-{n}"',
)
CONTAINERD = (
    'StopPodSandbox for "{id}" returns successfully',
    'shim disconnected id="{id}" namespace="k8s.io"',
    'cleaning up after shim disconnected id="{id}" namespace="k8s.io"',
    'RemovePodSandbox "{id}" returns successfully',
    'PullImage "registry.local/web:{n}" returns image reference "sha256:{id}"',
    'loading plugin "io.containerd.ttrpc.v1.task"... type="io.containerd.ttrpc.v1"',
    'CreateContainer within sandbox "{id}" for container &ContainerMetadata{{Name:app}}',
    'TearDown network for sandbox "{id}" successfully',
)
DOCKERD = (
    'ignoring event container="{id}" topic="/tasks/delete" type="*events.TaskDelete"',
    "Handler for GET /v1.41/containers/{id}/json returned error: No such container: {id}",
    'Container failed to exit within 10s of signal 15 - using the force container="{id}"',
    "stream copy error: reading from a closed fifo",
)
KERNEL = (
    "cni0: port {n}(veth{n}) entered forwarding state",
    "veth{n} (unregistering): left promiscuous mode",
    "IPv6: ADDRCONF(NETDEV_CHANGE): veth{n}: link becomes ready",
    "EXT4-fs (nvme1n1p{n}): mounted filesystem with ordered data mode. Quota mode: none.",
    'audit: type=1400 audit({n}.1:1): apparmor="STATUS" operation="profile_load"',
    "nvme nvme0: 2/0/0 default/read/poll queues",
    "perf: interrupt took too long ({n} > 2500), lowering kernel.perf_event_max_sample_rate",
    "TCP: request_sock_TCP: Possible SYN flooding on port {n}. Sending cookies.",
    "hrtimer: interrupt took {n} ns",
)
PID1 = (
    "Started Session {n} of User deploy.",
    "session-{n}.scope: Deactivated successfully.",
    "Starting Daily apt download activities...",
    "apt-daily.service: Deactivated successfully.",
    "Finished Daily apt download activities.",
    "Started libcontainer container {id}.",
    "run-docker-netns-{n}.mount: Succeeded.",
    "logrotate.service: Consumed {n}ms CPU time.",
    "backup@{n}.service: Main process exited, code=exited, status=1/FAILURE",
    "backup@{n}.service: Failed with result 'exit-code'.",
    "Stopping Regular background program processing daemon...",
    "Reloading.",
)
SSHD = (
    "Accepted publickey for deploy from 10.0.0.{n} port 51234 ssh2",
    "Failed password for invalid user admin from 203.0.113.{n} port 4{n} ssh2",
    "Connection closed by authenticating user root 203.0.113.{n} port 3{n} [preauth]",
    "error: kex_exchange_identification: Connection closed by remote host",
)
CRON = (
    "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
    "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
    "(deploy) CMD (docker ps > /tmp/docker-{n}.txt)",
)
APPLICATION = (
    "java.lang.OutOfMemoryError: Java heap space",
    "ERROR: could not write to file: No space left on device (in test tenant {n})",
    "panic: handler recovered: runtime error: index out of range [{n}]",
    "upstream timed out (110: Connection timed out) while reading response header",
    "Out of memory: Killed process {n} (java) was seen in the ticket",
    "x509: certificate has expired or is not yet valid: customer endpoint {n}",
    "Docker daemon failed! said the customer in ticket {n}",
    "FATAL: terminating connection due to administrator command",
    "LOG: checkpoint complete: wrote {n} buffers; sync=0.{n} s",
    "I/O error while reading customer upload {n}",
)

SPEAKERS: tuple[tuple[int, dict[str, str], tuple[str, ...]], ...] = (
    (36, {**_SERVICE, "_SYSTEMD_UNIT": "kubelet.service", "_COMM": "kubelet"}, KUBELET),
    (22, {**_SERVICE, "_SYSTEMD_UNIT": "containerd.service", "_COMM": "containerd"}, CONTAINERD),
    (8, {**_SERVICE, "_SYSTEMD_UNIT": "docker.service", "_COMM": "dockerd"}, DOCKERD),
    (8, {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0", "_HOSTNAME": "node-1"}, KERNEL),
    (10, {"_TRANSPORT": "journal", "_PID": "1", "_COMM": "systemd", "_UID": "0"}, PID1),
    (3, {"_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "ssh.service", "_COMM": "sshd"}, SSHD),
    (3, {"_TRANSPORT": "syslog", "_SYSTEMD_UNIT": "cron.service", "_COMM": "cron"}, CRON),
    (
        6,
        {"_TRANSPORT": "journal", "_SYSTEMD_UNIT": "docker.service", "CONTAINER_ID": "ab12"},
        APPLICATION,
    ),
    (4, {"_TRANSPORT": "stdout", "_SYSTEMD_UNIT": "shop.service", "_UID": "998"}, APPLICATION),
)


def noise(count: int, seed: int = 1) -> Iterator[Record]:
    """Yield ``count`` records, about forty a minute for every thousand."""
    rng = random.Random(seed)
    shares = [share for share, _, _ in SPEAKERS]
    at_s = START_S
    for number in range(count):
        at_s += rng.expovariate(20)
        _, fields, messages = rng.choices(SPEAKERS, shares)[0]
        message = rng.choice(messages).format(
            n=rng.randrange(1, 250), id=f"{rng.getrandbits(64):x}"
        )
        source = "kernel" if fields.get("_TRANSPORT") == "kernel" else "journal"
        yield Record(at_s, source, message, fields, Trust.TRUSTED, f"noise:{number}", "boot-1")
