"""What a drill says: the backup is blamed only when nothing else can be."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from tests.hostile import TEXTS
from tests.lab.drill.backups import Backup
from tests.lab.drill.live import Live
from tests.lab.drill.page import as_page
from tests.lab.drill.played import evening, outcome, second
from tests.lab.drill.repeat import evening as evening_of
from tests.lab.drill.repeat import row, summary
from tests.lab.drill.setting import Ending, Setting
from tests.lab.drill.verdict import as_text, judged, line


def test_the_backup_is_blamed_when_only_the_unthrottled_one_kills() -> None:
    text = as_text(evening())
    assert "that kill was the backup's. Nothing was injected." in text
    assert "docker killed 48 s into it" in text
    assert text.count("survived") == 2


@pytest.mark.parametrize(
    ("dead", "said"),
    [
        ({Ending.NONE, Ending.UNTHROTTLED}, "died without a backup as well"),
        ({Ending.UNTHROTTLED, Ending.GOVERNED}, "no cure"),
        (set(), "nothing is proven"),
    ],
)
def test_other_endings_blame_nobody(dead: set[Ending], said: str) -> None:
    assert said in judged([outcome(one, killed=one in dead) for one in Ending])


def test_two_endings_are_too_few_to_blame_anybody() -> None:
    two = [outcome(Ending.UNTHROTTLED, killed=True), outcome(Ending.GOVERNED, killed=False)]
    assert "Too few" in judged(two)


def test_figures_are_of_the_time_with_the_backup_alone() -> None:
    told = line(outcome(Ending.UNTHROTTLED, killed=True))
    assert (told.io_pct, told.read_mb_s, told.restarted) == (96.0, 14.2, 4)


def test_a_backup_that_tells_how_far_it_came_is_quoted() -> None:
    said = '{"read_bytes": 23043584, "expected_bytes": 1591833600}\nnot json\n'
    told = line(replace(outcome(Ending.GOVERNED, killed=False), said=said))
    assert told.ending == "survived; 23 of 1,592 MB taken"


def test_the_page_is_whole_small_and_has_no_script() -> None:
    page = as_page(evening(), "a Friday")
    assert page.count("<svg") == 24
    assert "<script" not in page
    assert len(page.encode()) < 300_000


@pytest.mark.parametrize("text", TEXTS)
def test_a_verdict_cannot_become_markup(text: str) -> None:
    page = as_page(evening(text), "a Friday")
    assert page.count("<") == as_page(evening("harmless"), "a Friday").count("<")


def test_a_log_gets_a_line_now_and_then_and_the_kill_at_once() -> None:
    said: list[str] = []
    live = Live(Ending.UNTHROTTLED, Setting(), said.append, moving=False)
    for at in range(1, 40):
        live(second(at, busy=True, killed=at == 37))
    assert len(said) == 3
    assert said[-1].endswith("DOCKER KILLED\n")


def test_a_terminal_is_drawn_over() -> None:
    said: list[str] = []
    live = Live(Ending.GOVERNED, Setting(), said.append, moving=True)
    for at in range(1, 4):
        live(second(at, busy=False))
    assert [text.startswith("\x1b[6F") for text in said] == [False, True, True]


def test_settings_are_words() -> None:
    setting = Setting().with_words(["room_mb=200", "kept=yes", "disk_mb_s=30"])
    assert (setting.room_mb, setting.kept, setting.disk_mb_s) == (200, True, 30.0)
    with pytest.raises(ValueError, match="cores: none of room_mb"):
        Setting().with_words(["cores=2"])


def test_an_evening_is_the_same_whenever_it_is_drawn() -> None:
    assert evening_of(7, seed=1) == evening_of(7, seed=1)
    assert len({evening_of(number, seed=1) for number in range(20)}) == 20


def test_a_series_counts_kills_and_bounds_what_it_never_saw() -> None:
    rows = [
        row(number, outcome(ending, killed=ending is Ending.UNTHROTTLED))
        for number in range(1, 31)
        for ending in (Ending.UNTHROTTLED, Ending.GOVERNED)
    ]
    assert summary(rows) == (
        "unthrottled: docker killed in 30 of 30 runs\n"
        "governed: docker killed in 0 of 30 runs (95 % bound: 10%)\n"
    )
    assert rows[0]["killed_after_s"] == 48.0


def test_a_backup_is_not_over_while_some_of_it_has_not_begun() -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    assert not Backup([done], planned=2).ended
    assert Backup([done, done], planned=2).succeeded
    assert not Backup([]).succeeded
