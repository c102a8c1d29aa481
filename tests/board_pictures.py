"""``python -m tests.board_pictures [FOLDER]``: both dashboards, drawn from a real Prometheus.

It plays the founding incident once more on the stage of the e2e suite: an agent, a Postgres, base
backups, checks. What is drawn is what the dashboards' own queries give.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.alerting import Stage, alerting_stage
from tests.board_drawing import WIDTH, page
from tests.boards import NAMES, board, empty
from tests.browser import chromium
from tests.monitoring import eventually
from tests.staged_node import BACKUP_POD

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Play, ask, draw; fails where a panel would be empty."""
    words = list(sys.argv[1:] if argv is None else argv)
    folder = Path(words[0]) if words else ROOT / "docs" / "img"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="knockon-boards-") as place:
            Path(place).chmod(0o755)
            with alerting_stage(Path(place)) as stage:
                begun_s = time.time()
                play(stage)
                return _draw(stage, time.time() - begun_s + 5, folder)
    except pytest.skip.Exception as why:
        print(f"no pictures: {why}", file=sys.stderr)
        return 1


def play(stage: Stage) -> None:
    """One backup during which the runtime is killed, its checks, and one that is stopped."""
    node, backups = stage.node, stage.backups
    with backups.started(BACKUP_POD, node.announcements, "--ceiling", "1MB/s") as backup:
        eventually(lambda: "knockon_announced_backups 1.0" in node.page(), "the agent sees it")
        eventually(lambda: node.seconds_recorded() > 25, "a calm while")
        node.strain()
        eventually(lambda: node.seconds_strained() > 18, "the runtime waits")
        node.kill()
        backup.wait(120)
    backups.check("verify")
    backups.check("restore-test")
    with backups.started("pg-backup-29384757", node.announcements, "--ceiling", "2MB/s") as backup:
        backups.server.backup_pid()
        time.sleep(15)
        backup.send_signal(signal.SIGTERM)
        backup.wait(60)
    time.sleep(10)


def _draw(stage: Stage, seconds: float, folder: Path) -> int:
    boards = {name: board(name, stage.prometheus, seconds) for name in NAMES}
    blank = [what for one in boards.values() for what in empty(one)]
    for what in blank:
        print(f"empty: {what}", file=sys.stderr)
    with chromium() as browser, tempfile.TemporaryDirectory(prefix="knockon-board-") as place:
        for name, one in boards.items():
            source = Path(place) / f"{name}.html"
            source.write_text(page(one), "utf-8")
            browser.open(source)
            height = browser.run("return document.querySelector('svg').height.baseVal.value")
            browser.size(WIDTH + 6, int(height))
            target = folder / f"board-{name}.png"
            browser.picture(target)
            print(target)
    return 1 if blank else 0


if __name__ == "__main__":
    raise SystemExit(main())
