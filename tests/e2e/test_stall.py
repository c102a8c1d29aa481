"""A disk that takes no writes: the seconds are recorded, the incident is explained all the same."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from agent.recorder.ring_read import load_ring
from tests.agents import explained, site, until, victims
from tests.e2e.test_agent import BUSY, TOOL, begin, hit
from tests.fake_api import FakeApi
from tests.replay import journal_writer

GAP_S = 2.0
_TMPFS = Path("/dev/shm")

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
    pytest.mark.skipif(not _TMPFS.is_dir(), reason="there is no tmpfs for the ring"),
]


def done(*words: str) -> None:
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"{words[0]} is refused here: {ran.stderr.strip()[:200]}")


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A file system of its own on a loop device; thawed and unmounted whatever happens."""
    image, mounted = folder / "disk.img", folder / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(64 << 20)
    done("mkfs.ext4", "-q", "-F", str(image))
    done("mount", "-o", "loop", str(image), str(mounted))
    try:
        yield mounted
    finally:
        subprocess.run(["fsfreeze", "-u", str(mounted)], capture_output=True, check=False)
        subprocess.run(["umount", "-l", str(mounted)], check=False)


@contextmanager
def stalled(mounted: Path) -> Iterator[None]:
    """Every write waits, as on a disk that has stopped to answer."""
    done("fsfreeze", "-f", str(mounted))
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", str(mounted)], check=True)


def gaps_s(ring: Path, from_s: float, to_s: float) -> list[float]:
    """Between the samples of the stall, as the ring has them."""
    at_s = [sample.at_s for sample in load_ring(ring, parts=False).samples]
    inside = [from_s, *(at for at in at_s if from_s <= at <= to_s), to_s]
    return [later - before for before, later in pairwise(inside)]


@pytest.mark.parametrize("stall_s", [20.0, pytest.param(120.0, marks=pytest.mark.slow)])
def test_a_stalled_disk_stops_neither_the_recorder_nor_the_explanation(
    tmp_path: Path, stall_s: float
) -> None:
    ring = _TMPFS / f"knockon-stall-{tmp_path.name}.ring"
    with FakeApi() as api, disk(tmp_path) as mounted:
        for thing in victims(3):
            api.store.put("pods", thing)
        settings: dict[str, dict[str, object]] = {
            "state": {"directory": str(mounted / "state")},
            "recorder": {"ring": str(ring)},
        }
        try:
            with (
                site(tmp_path, api, **settings) as one,
                journal_writer(TOOL, one.journal / "a.journal") as writer,
            ):
                begin(writer, one)
                one.start()
                one.ready()
                time.sleep(2.0)
                with stalled(mounted):
                    from_s = time.time()
                    opened_s, explained_s = hit(writer, api, one)
                    time.sleep(max(0.0, stall_s - (time.time() - from_s)))
                    assert one.get("/healthz")
                    to_s = time.time()
                gaps = gaps_s(ring, from_s, to_s)
                print(
                    f"stalled {to_s - from_s:.0f} s: opened in {opened_s:.2f} s, explained in "
                    f"{explained_s:.2f} s, {len(gaps) - 1} samples, longest gap {max(gaps):.2f} s"
                )
                assert max(gaps) <= GAP_S
                assert opened_s <= BUSY * 1.0
                assert explained_s <= BUSY * 5.0
                until(lambda: any((mounted / "state").rglob("*.json")), one.said)
                assert one.stop() < BUSY * 2.0
            assert len(explained(api)) == 3
        finally:
            ring.unlink(missing_ok=True)
