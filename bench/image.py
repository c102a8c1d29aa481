"""``python -m bench.image``: how large the images are, and how soon a started agent is there.

The image is built, and started in a node of its own, as `tests/e2e/test_container.py` does it.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from statistics import median

from bench.rows import Row, machine_line, rows_table
from tests.e2e.container import CACHE, node_with_image, start
from tests.lab.box import Box
from tests.lab.container import ensure_image
from tests.lab.image import LabUnavailable

FULL_TURNS, SMOKE_TURNS = 5, 1


def bench(smoke: bool) -> list[Row]:
    """Build, weigh, and start."""
    try:
        built = ensure_image(CACHE)
    except LabUnavailable as missing:
        return [Row("image", "image", "skipped", note=str(missing))]
    sizes = [
        Row("image", f"{name}: size, unpacked", f"{size / 1e6:.0f} MB", note="on a bookworm base")
        for name, size in built.size_bytes.items()
    ]
    turns = SMOKE_TURNS if smoke else FULL_TURNS
    with node_with_image() as box:
        listens_s = sorted(_once(box) for _ in range(turns))
    value = f"{median(listens_s):.2f} s ({listens_s[0]:.2f}-{listens_s[-1]:.2f})"
    note = f"{turns} starts; memory limit and settings of the pod"
    return [*sizes, Row("image", "container started to port open", value, note=note)]


def _once(box: Box) -> float:
    """Start the agent's container once; seconds from its first process to its open port."""
    start(box)
    began = box.check("docker inspect -f '{{.State.StartedAt}}' agent").strip()
    lines = [json.loads(line) for line in box.sh("docker logs agent").stderr.splitlines() if line]
    opened = next(one["at"] for one in lines if str(one["says"]).startswith("Listening"))
    box.check("docker rm -f agent", 60)
    spent = datetime.fromisoformat(opened) - datetime.fromisoformat(began[:26] + "+00:00")
    return spent.total_seconds()


def main() -> int:
    """Print the table."""
    print(f"{machine_line()}\n\n{rows_table(bench('--smoke' in sys.argv))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
