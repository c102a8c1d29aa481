"""One arm of ``bench.watch_client``: the agent's own client, until the last pod has come."""

from __future__ import annotations

import argparse
import json
import threading

from agent.kube.access import Access
from agent.kube.http import Api
from agent.kube.pace import real_clockwork
from agent.kube.pod_changes import PodChange
from agent.kube.source import watch_pods
from bench.watch_cost import Meter


def main() -> int:
    """Follow until a pod called ``the-end`` appears, then tell the cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    meter, changes = Meter(), 0
    api = Api(Access("127.0.0.1", port, tls=False))
    for told in watch_pods(api, "node-1", real_clockwork(threading.Event())):
        changes += 1
        meter.heard()
        if isinstance(told, PodChange) and told.pod.name == "the-end":
            break
    print(json.dumps(meter.cost(changes)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
