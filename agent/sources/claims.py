"""Which journal fields a quoted line claims: who speaks, and about which unit.

Nobody vouches for them; they let one rulebook serve the journal and what people paste from it.
"""

from __future__ import annotations

import re

from agent.sources.unwrap import CAPNSLOG

# Identifier as journalctl prints it -> unit, where the two differ only by habit.
_UNIT_OF = {
    "kubelet": "kubelet.service",
    "hyperkube": "kubelet.service",
    "docker": "docker.service",
    "dockerd": "docker.service",
    "dockerd-current": "docker.service",
    "containerd": "containerd.service",
    "cri-dockerd": "cri-docker.service",
    "crio": "crio.service",
    "k3s": "k3s.service",
    "k3s-agent": "k3s-agent.service",
    "etcd": "etcd.service",
    "unattended-upgrade": "unattended-upgrades.service",
}

# Description= of units whose life matters, as PID 1 prints it.
_UNIT_BY_DESCRIPTION = {
    "docker application container engine": "docker.service",
    "docker socket for the api": "docker.socket",
    "containerd container runtime": "containerd.service",
    "container runtime interface for oci (cri-o)": "crio.service",
    "open container initiative daemon": "crio.service",
    "cri interface for docker application container engine": "cri-docker.service",
    "kubelet: the kubernetes node agent": "kubelet.service",
    "kubernetes kubelet server": "kubelet.service",
    "kubernetes kubelet": "kubelet.service",
    "kubelet": "kubelet.service",
    "lightweight kubernetes": "k3s.service",
    "rancher kubernetes engine v2 (server)": "rke2-server.service",
    "rancher kubernetes engine v2 (agent)": "rke2-agent.service",
    "kubernetes health monitoring for docker": "kube-docker-monitor.service",
    "kubernetes health monitoring for container runtime": "kube-container-runtime-monitor.service",
    "kubernetes health monitoring for kubelet": "kubelet-monitor.service",
}

_SUFFIX = r"(?:service|socket|scope|slice|mount|target|timer|device|swap|path|automount)"
_UNIT_FIRST = re.compile(rf"(?:Unit )?([\w:.\\@-]{{1,255}}\.{_SUFFIX})(?=[: ])")
_JOB = re.compile(
    r"(?:Stopping|Stopped|Starting|Started|Failed to start|Reloading|Reloaded|Restarting|Finished)"
    rf" (?:([\w:.\\@-]{{1,255}}\.{_SUFFIX})(?: - .*?)?|(.*?))(?:\.{{1,3}})?$"
)
_SNAP = re.compile(r"service for snap application (\S+)$")
_PID1_SAYS = re.compile(  # after "x.service: ": said by nobody but PID 1
    rf"[\w:.\\@-]{{1,255}}\.{_SUFFIX}: (?:[Mm]ain process exited|Failed with result|Scheduled"
    r" restart job|Start request repeated|Service RestartSec|Service hold-off|Watchdog timeout"
    r"|Killing process|A process of this unit|State '|Deactivated success|Succeeded|Consumed"
    r"|Unit process|Control process exited|Job |Triggering)"
    r"|Unit [\w:.\\@-]{1,255} entered failed state"
)

# Source files of klog lines without a prefix -> the one program that has them.
_KUBELET_FILES = """
kubelet.go generic.go prober.go prober_manager.go kuberuntime_manager.go pod_workers.go
kuberuntime_container.go kuberuntime_sandbox.go kuberuntime_gc.go remote_runtime.go
eviction_manager.go eviction_helpers.go cni.go docker_sandbox.go docker_service.go
kubelet_node_status.go setters.go image_gc_manager.go kubelet_volumes.go kubelet_pods.go
oom_watcher.go oom_watcher_linux.go reconciler_common.go topology_manager.go cpu_manager.go
container_manager_linux.go pod_container_manager_linux.go qos_container_manager_linux.go
pod_container_deletor.go nodeshutdown_manager_linux.go pod_startup_latency_tracker.go
fs_resource_analyzer.go status_manager.go
"""
_AUTOSCALER_FILES = "scale_down.go static_autoscaler.go scale_up.go actuator.go"
_SPEAKER_BY_FILE = {
    **dict.fromkeys(_KUBELET_FILES.split(), "kubelet"),
    **dict.fromkeys(_AUTOSCALER_FILES.split(), "cluster-autoscaler"),
    CAPNSLOG: "etcd",
}


def claimed_fields(identifier: str, pid: str, text: str) -> dict[str, str]:
    """The fields of a line whose prefix was ``identifier[pid]:``."""
    if identifier == "kernel":
        return {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0", "SYSLOG_IDENTIFIER": "kernel"}
    fields = {"SYSLOG_IDENTIFIER": identifier} if identifier else {}
    if pid:
        fields["_PID"] = pid
    if identifier == "systemd":
        fields["_COMM"] = "systemd"
        fields.setdefault("_PID", "1")  # old syslog prints no pid; user managers are newer
        unit = unit_named(text)
        if unit:
            fields["UNIT"] = unit
        return fields
    if identifier:
        fields["_COMM"] = identifier[:15]  # the kernel's TASK_COMM_LEN
        unit = _unit_of(identifier)
        if unit:
            fields["_SYSTEMD_UNIT"] = unit
    return fields


def _unit_of(identifier: str) -> str:
    if identifier.startswith("microk8s.daemon-"):
        return f"snap.{identifier}.service"
    return _UNIT_OF.get(identifier, "")


def unit_named(text: str) -> str:
    """The unit a line of PID 1 is about; empty when it names none that is known."""
    match = _UNIT_FIRST.match(text)
    if match is not None:
        return match[1]
    match = _JOB.match(text)
    if match is None:
        return ""
    if match[1]:
        return match[1]
    description = match[2].lower()
    snap = _SNAP.match(description)
    return f"snap.{snap[1]}.service" if snap else _UNIT_BY_DESCRIPTION.get(description, "")


def says_pid1(text: str) -> bool:
    """Whether only PID 1 writes such a line, so that a lost prefix can be put back."""
    return _PID1_SAYS.match(text) is not None


def speaker_by_file(code_file: str) -> str:
    """The program whose source has this file, for klog lines that lost their prefix."""
    return _SPEAKER_BY_FILE.get(code_file, "")
