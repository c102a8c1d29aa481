"""One arm of ``bench.watch_client``: the informer of the official ``kubernetes`` package."""

from __future__ import annotations

import argparse
import json
import threading

from kubernetes import client
from kubernetes.informer import SharedInformer

from bench.watch_cost import Meter


def main() -> int:
    """Follow until a pod called ``the-end`` appears, then tell the cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    config = client.Configuration()
    config.host = f"http://127.0.0.1:{port}"
    core = client.CoreV1Api(client.ApiClient(config))
    meter, ended, changes = Meter(), threading.Event(), [0]

    def heard(pod: client.V1Pod) -> None:
        changes[0] += 1
        meter.heard()
        if pod.metadata and pod.metadata.name == "the-end":
            ended.set()

    informer = SharedInformer(
        list_func=core.list_pod_for_all_namespaces, field_selector="spec.nodeName=node-1"
    )
    for change in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(change, heard)
    informer.start()
    ended.wait(600)
    print(json.dumps(meter.cost(changes[0])), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
