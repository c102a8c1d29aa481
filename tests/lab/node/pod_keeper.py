"""Keep four pods alive as pairs of docker containers. NOT a kubelet: the least that acts like one.

Each pod is a sandbox (`/pause`) and one app container. A sandbox that died is re-created with the
kubelet's own event; what a kubelet would have told the API lies in /var/lib/pod-keeper as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import docker_api
import kube_json

HOME = Path("/var/lib/pod-keeper")
# What a drill asks for instead: {pod: {"cmd": [...], "binds": [...], "memory": bytes}}.
PROGRAMS = Path("/etc/pod-keeper.json")
SANDBOX_CHANGED = "Pod sandbox changed, it will be killed and re-created."
RUNTIME_DOWN_AFTER_S = (
    30.0  # As a kubelet: the node is not ready when the runtime is silent so long.
)
OBEYS = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"
IGNORES = "trap '' TERM; while :; do sleep 3600; done"
WEB = ("ReplicaSet", "web-7d9c5b8f64")
WANTED = (
    ("default", "pg-0", ("StatefulSet", "pg"), "postgres", OBEYS),
    ("default", "web-7d9c5b8f64-4kq2x", WEB, "web", OBEYS),
    ("default", "web-7d9c5b8f64-tz8wn", WEB, "web", OBEYS),
    ("kube-system", "node-agent-m6d9r", ("DaemonSet", "node-agent"), "agent", IGNORES),
)


class Keeper:
    """The pods, events and node as this node's API would show them, and the loop's memory."""

    def __init__(self):
        """Take up where an earlier keeper, or an earlier boot, left off."""
        HOME.mkdir(exist_ok=True)
        self.events = self._load("events")
        self.pods = self._load("pods") or [kube_json.new_pod(*item[:4]) for item in WANTED]
        self.programs = {item[1]: {"cmd": ["/bin/sh", "-c", item[4]]} for item in WANTED}
        if PROGRAMS.exists():
            self.programs |= json.loads(PROGRAMS.read_text())
        self.answered_at_s = time.monotonic()
        self.ready, self.ready_since_s = True, time.time()
        self.runtime = "unknown"
        self._note_reboot()

    def tick(self):
        """Look once and put right what is wrong; return a sentence when something was done."""
        try:
            self.runtime = docker_api.version()
            found = docker_api.containers()
            done = [said for pod in self.pods if (said := self._sync(pod, found))]
            self.answered_at_s = time.monotonic()
        except (OSError, docker_api.DockerError) as error:
            done = [f"runtime: {error}"]
        self._note_readiness()
        self.save()
        return "; ".join(done)

    def save(self):
        """Write what the API would show, each file in one step."""
        for kind, items in (
            ("events", self.events),
            ("pods", self.pods),
            ("nodes", [self._node()]),
        ):
            partial = HOME / f"{kind}.partial"
            partial.write_text(json.dumps(kube_json.listing(items), indent=4, sort_keys=True))
            partial.rename(HOME / f"{kind}.json")

    def _sync(self, pod, found):
        name = pod["metadata"]["name"]
        mine = [item for item in found if item["Labels"]["io.kubernetes.pod.name"] == name]
        sandboxes = [item for item in mine if _is_sandbox(item)]
        apps = [item for item in mine if not _is_sandbox(item)]
        if not sandboxes:
            self._start_all(pod, mine)
            return f"{name}: started"
        if sandboxes[0]["State"] != "running":
            self._event(pod, "SandboxChanged", SANDBOX_CHANGED)
            self._stop_app(pod, apps)
            self._start_all(pod, mine)
            return f"{name}: sandbox re-created"
        if not apps or apps[0]["State"] != "running":
            self._start_app(pod, sandboxes[0]["Id"], apps)
            return f"{name}: container restarted"
        return ""

    def _stop_app(self, pod, apps):
        container = pod["spec"]["containers"][0]["name"]
        for item in apps:
            if item["State"] == "running":
                self._event(pod, "Killing", f"Stopping container {container}", container)
                docker_api.stop(item["Id"])

    def _start_all(self, pod, old):
        attempt = 1 + max((int(item["Labels"]["attempt"]) for item in old), default=-1)
        apps = [item for item in old if not _is_sandbox(item)]
        spec = _spec(pod, "POD", attempt) | {"Cmd": ["/pause"], "Hostname": pod["metadata"]["name"]}
        spec["HostConfig"] = {"NetworkMode": "none", "IpcMode": "shareable", **_group(pod)}
        sandbox = docker_api.run(_name(pod, "POD", attempt), spec)
        pod["metadata"]["annotations"]["knockon.dev/lab-sandbox"] = sandbox
        self._start_app(pod, sandbox, apps)
        for item in old:
            if _is_sandbox(item):
                docker_api.remove(item["Id"])

    def _start_app(self, pod, sandbox, old):
        container = pod["spec"]["containers"][0]["name"]
        before = (pod["status"].get("containerStatuses") or [{"restartCount": -1}])[0]
        restarts = before["restartCount"] + 1
        spec = _spec(pod, container, restarts)
        program = self.programs[pod["metadata"]["name"]]
        spec["Cmd"] = program["cmd"]
        shared = f"container:{sandbox}"
        spec["HostConfig"] = {
            "NetworkMode": shared,
            "IpcMode": shared,
            "Memory": program.get("memory", 64 << 20),
            "Binds": program.get("binds", []),
            **_group(pod),
        }
        last = {"terminated": _terminated(old[0]["Id"])} if old else {}
        made = docker_api.run(_name(pod, container, restarts), spec)
        present = f'Container image "{kube_json.IMAGE}" already present on machine'
        self._event(pod, "Pulled", present, container)
        self._event(pod, "Created", f"Created container {container}", container)
        self._event(pod, "Started", f"Started container {container}", container)
        state = {"running": {"startedAt": kube_json.stamp(time.time())}}
        pod["status"] = kube_json.pod_status(pod, state, last, restarts)
        pod["status"]["containerStatuses"][0]["containerID"] = f"docker://{made}"
        for item in old:
            docker_api.remove(item["Id"])

    def _event(self, pod, reason, message, container=None):
        self._record(kube_json.reference(pod, container), reason, message, "Normal")

    def _record(self, about, reason, message, kind):
        now = kube_json.stamp(time.time())
        for event in self.events:
            same = (event["involvedObject"], event["reason"], event["message"])
            if same == (about, reason, message):
                event["count"] += 1
                event["lastTimestamp"] = now
                return
        self.events.append(kube_json.new_event(about, reason, message, kind))

    def _note_readiness(self):
        ready = time.monotonic() - self.answered_at_s < RUNTIME_DOWN_AFTER_S
        if ready != self.ready:
            self.ready, self.ready_since_s = ready, time.time()
            reason = "NodeReady" if ready else "NodeNotReady"
            message = f"Node {kube_json.NODE} status is now: {reason}"
            self._record(kube_json.node_reference(), reason, message, "Normal")

    def _note_reboot(self):
        old = self._load("nodes")
        boot = kube_json.boot_id()
        if old and old[0]["status"]["nodeInfo"]["bootID"] != boot:
            message = f"Node {kube_json.NODE} has been rebooted, boot id: {boot}"
            self._record(kube_json.node_reference(), "Rebooted", message, "Warning")

    def _node(self):
        return kube_json.node(self.ready, self.runtime, self.ready_since_s)

    @staticmethod
    def _load(kind):
        path = HOME / f"{kind}.json"
        return json.loads(path.read_text())["items"] if path.exists() else []


def _is_sandbox(item):
    return item["Labels"]["io.kubernetes.docker.type"] == "podsandbox"


def _name(pod, container, attempt):
    meta = pod["metadata"]
    return f"k8s_{container}_{meta['name']}_{meta['namespace']}_{meta['uid']}_{attempt}"


def _group(pod):
    """Where a kubelet would put the pod's containers, with whichever driver docker has."""
    if not PROGRAMS.exists():
        return {}  # the recordings were made without
    uid = pod["metadata"]["uid"]
    if docker_api.cgroup_driver() == "systemd":
        return {"CgroupParent": f"kubepods-burstable-pod{uid.replace('-', '_')}.slice"}
    return {"CgroupParent": f"/kubepods/burstable/pod{uid}"}


def _spec(pod, container, attempt):
    meta = pod["metadata"]
    labels = {
        docker_api.LABEL: "pod-keeper",
        "attempt": str(attempt),
        "io.kubernetes.container.name": container,
        "io.kubernetes.docker.type": "podsandbox" if container == "POD" else "container",
        "io.kubernetes.pod.name": meta["name"],
        "io.kubernetes.pod.namespace": meta["namespace"],
        "io.kubernetes.pod.uid": meta["uid"],
    }
    return {"Image": kube_json.IMAGE, "Labels": labels}


def _terminated(container_id):
    seen = docker_api.inspect(container_id)
    code = seen["State"]["ExitCode"]
    return {
        "containerID": f"docker://{container_id}",
        "exitCode": code,
        "finishedAt": seen["State"]["FinishedAt"][:19] + "Z",
        "reason": "OOMKilled" if seen["State"]["OOMKilled"] else "Error" if code else "Completed",
        "startedAt": seen["State"]["StartedAt"][:19] + "Z",
    }


def import_image(tree=Path("/run/lab-image")):
    """Give docker the one image the pods use: a static busybox and a pause."""
    asked = ["docker", "images", "-q", kube_json.IMAGE]
    listed = subprocess.run(asked, capture_output=True, check=False)
    if listed.stdout.strip() or listed.returncode:
        return
    (tree / "bin").mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "/bin/busybox", str(tree / "bin/busybox")], check=True)
    for name in ("sh", "sleep", "echo"):
        (tree / "bin" / name).unlink(missing_ok=True)
        os.symlink("busybox", tree / "bin" / name)
    (tree / "pause").write_text(f"#!/bin/sh\n{OBEYS}\n")
    (tree / "pause").chmod(0o755)
    packed = subprocess.run(["tar", "-C", str(tree), "-c", "."], capture_output=True, check=True)
    subprocess.run(["docker", "import", "-", kube_json.IMAGE], input=packed.stdout, check=True)


def main():
    """Keep the pods until told to stop."""
    import_image()
    keeper = Keeper()
    while True:
        if said := keeper.tick():
            print(said)
        time.sleep(1)


if __name__ == "__main__":
    main()
