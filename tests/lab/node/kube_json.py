"""Pods, events and the node in the form the Kubernetes API gives them."""

from __future__ import annotations

import os
import platform
import time
import uuid

NODE = "lab-node"
IMAGE = "lab.local/lab:1"
NOT_A_KUBELET = {"knockon.dev/lab": "written by the lab's pod keeper, which is not a kubelet"}


def uid(name):
    """Return a uid that is the same in every recording."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{NODE}"))


def stamp(at_s):
    """Return a time as the API prints it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))


def listing(items):
    """Wrap items as `kubectl get -o json` does."""
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}


def new_pod(namespace, name, owner, container):
    """Return a pod that has just been bound to the node."""
    kind, owner_name = owner
    app = owner_name.split("-7d9")[0]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "annotations": dict(NOT_A_KUBELET),
            "creationTimestamp": stamp(time.time()),
            "labels": {"app": app},
            "name": name,
            "namespace": namespace,
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "blockOwnerDeletion": True,
                    "controller": True,
                    "kind": kind,
                    "name": owner_name,
                    "uid": uid(owner_name),
                }
            ],
            "uid": uid(name),
        },
        "spec": {
            "containers": [
                {
                    "image": IMAGE,
                    "imagePullPolicy": "Never",
                    "name": container,
                    "resources": {"limits": {"memory": "64Mi"}},
                }
            ],
            "nodeName": NODE,
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 5,
        },
        "status": {"phase": "Pending", "startTime": stamp(time.time())},
    }


def pod_status(pod, state, last_state, restarts):
    """Return the status of a pod whose one container is in `state`."""
    ready = "running" in state
    now = stamp(time.time())
    container = pod["spec"]["containers"][0]
    status = {
        "image": container["image"],
        "lastState": last_state,
        "name": container["name"],
        "ready": ready,
        "restartCount": restarts,
        "started": ready,
        "state": state,
    }
    known = {"Initialized": True, "Ready": ready, "ContainersReady": ready, "PodScheduled": True}
    old = {item["type"]: item for item in pod["status"].get("conditions", [])}
    conditions = []
    for name, truth in known.items():
        item = {
            "lastProbeTime": None,
            "lastTransitionTime": now,
            "status": str(truth),
            "type": name,
        }
        before = old.get(name)
        conditions.append(before if before and before["status"] == str(truth) else item)
    return {
        "conditions": conditions,
        "containerStatuses": [status],
        "phase": "Running",
        "qosClass": "Burstable",
        "startTime": pod["status"]["startTime"],
    }


def new_event(about, reason, message, kind):
    """Return an event as a kubelet would write it about a pod, its container or the node."""
    now_ns = time.time_ns()
    now = stamp(now_ns / 1e9)
    name = about["name"]
    return {
        "apiVersion": "v1",
        "count": 1,
        "eventTime": None,
        "firstTimestamp": now,
        "involvedObject": about,
        "kind": "Event",
        "lastTimestamp": now,
        "message": message,
        "metadata": {
            "annotations": dict(NOT_A_KUBELET),
            "creationTimestamp": now,
            "name": f"{name}.{now_ns:x}",
            "namespace": about.get("namespace", "default"),
            "uid": str(uuid.uuid4()),
        },
        "reason": reason,
        "reportingComponent": "kubelet",
        "reportingInstance": NODE,
        "source": {"component": "kubelet", "host": NODE},
        "type": kind,
    }


def reference(pod, container=None):
    """Return what an event says it is about."""
    meta = pod["metadata"]
    about = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": meta["name"],
        "namespace": meta["namespace"],
        "uid": meta["uid"],
    }
    return about | ({"fieldPath": f"spec.containers{{{container}}}"} if container else {})


def node_reference():
    """Return what an event about the node says it is about."""
    return {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": uid(NODE)}


def boot_id():
    """Return the id of this boot."""
    with open("/proc/sys/kernel/random/boot_id") as source:
        return source.read().strip()


def node(ready, runtime, since_s):
    """Return the node, ready or not."""
    with open("/etc/machine-id") as source:
        machine_id = source.read().strip()
    status, reason, message = (
        ("True", "KubeletReady", "kubelet is posting ready status")
        if ready
        else ("False", "KubeletNotReady", "container runtime is down")
    )
    condition = {
        "lastHeartbeatTime": stamp(time.time()),
        "lastTransitionTime": stamp(since_s),
        "message": message,
        "reason": reason,
        "status": status,
        "type": "Ready",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "annotations": dict(NOT_A_KUBELET),
            "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"},
            "name": NODE,
            "uid": uid(NODE),
        },
        "spec": {},
        "status": {
            "addresses": [{"address": NODE, "type": "Hostname"}],
            "capacity": {"cpu": str(os.cpu_count()), "pods": "110"},
            "conditions": [condition],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": boot_id(),
                "containerRuntimeVersion": f"docker://{runtime}",
                "kernelVersion": ".".join(platform.release().split(".")[:2]),
                "kubeletVersion": "none (lab pod keeper)",
                "machineID": machine_id,
                "operatingSystem": "linux",
                "osImage": "Debian GNU/Linux 12 (bookworm)",
            },
        },
    }
