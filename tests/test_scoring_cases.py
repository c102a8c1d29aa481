"""The harness's loaders: corpus files and recordings in every form, torn ones included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.errors import UserError
from bench.diagnosis.cases import Case, Unusable, corpus_case, discover, killer_word
from bench.diagnosis.recordings import truth_of
from bench.diagnosis.truth import Truth


class TestCorpus:
    def load(self, **data: Any) -> Case:
        made = corpus_case({"entries": ["a line"], **data}, Path("x.yaml"))
        assert isinstance(made, Case)
        return made

    @pytest.mark.parametrize(
        ("data", "sufficient"),
        [
            ({"sufficient": "partly"}, "partly"),
            ({"sufficient": False}, "no"),
            ({"sufficient": True}, "yes"),
            ({"notes": "Nobody can tell. (sufficient: no)"}, "no"),
            ({}, "yes"),
        ],
    )
    def test_sufficient_in_every_form(self, data: dict[str, object], sufficient: str) -> None:
        loaded = self.load(truth={"cause": "disk_full"}, **data)
        assert loaded.truth.sufficient == sufficient

    def test_missing_keys_and_unknown_ones(self) -> None:
        loaded = self.load(truth={"cause": "disk_full", "mood": "bad"}, colour="green")
        assert (loaded.id, loaded.truth.killer, loaded.entries[0].text) == ("x", None, "a line")

    def test_mechanism_becomes_a_killer(self) -> None:
        assert killer_word("health_monitor_kill") == "health_monitor"
        assert killer_word("oom_killer") == "oom_killer"
        assert killer_word("") is None

    @pytest.mark.parametrize("data", [{}, {"truth": {"cause": "gremlins"}}, {"truth": ["x"]}])
    def test_without_a_truth_it_is_not_scored(self, data: dict[str, Any]) -> None:
        assert isinstance(corpus_case({**data, "entries": ["x"]}, Path("x.yaml")), Unusable)

    def test_directories_are_walked_and_torn_files_are_said(self, tmp_path: Path) -> None:
        below = tmp_path / "a" / "b"
        below.mkdir(parents=True)
        text = "truth: {cause: disk_full}\nentries:\n- {ts: 2021-01-25T06:42:29, text: full}\n"
        (below / "one.yml").write_text(text)
        (tmp_path / "torn.yaml").write_text("truth: {cause: [")
        (tmp_path / "notes.txt").write_text("nothing")
        cases, unusable = discover([tmp_path])
        assert [one.id for one in cases] == ["one"]
        assert cases[0].entries[0].at == "2021-01-25T06:42:29"
        assert [one.path.name for one in unusable] == ["torn.yaml"]

    def test_a_folder_that_is_not_there_is_the_users_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(UserError):
            discover([tmp_path / "nowhere"])


class TestRecordings:
    def recording(self, folder: Path, readme: str) -> Path:
        folder.mkdir()
        (folder / "journal.export").write_text("")
        (folder / "README.txt").write_text(readme)
        return folder

    def test_the_folder_name_and_the_true_cause_decide(self, tmp_path: Path) -> None:
        done = self.recording(tmp_path / "x-b-upgrade", "True cause: the package restarted it.")
        idle = self.recording(tmp_path / "y-b-upgrade", "True cause: none: it did not restart.")
        assert truth_of(done) == Truth("planned_restart", killer="operator")
        assert truth_of(idle) == Truth("unknown", quiet=True, victims=frozenset())

    def test_the_scenario_names_it_when_the_folder_does_not(self, tmp_path: Path) -> None:
        folder = self.recording(tmp_path / "story", "Scenario: docker-a-monitor-kill-2018 (x)\n")
        truth = truth_of(folder)
        assert isinstance(truth, Truth)
        assert (truth.cause, truth.killer) == ("runtime_hang", "health_monitor")

    def test_victims_are_the_pods_that_restarted_or_were_replaced(self, tmp_path: Path) -> None:
        folder = self.recording(tmp_path / "docker-g-drain", "True cause: drained.")
        before = {"same": ("1", 0), "restarted": ("2", 0), "replaced": ("3", 0), "gone": ("4", 0)}
        after = {"same": ("1", 0), "restarted": ("2", 1), "replaced": ("9", 0), "new": ("8", 0)}
        for name, pods in (("pods-before.json", before), ("pods.json", after)):
            (folder / name).write_text(json.dumps({"items": [pod(*one) for one in pods.items()]}))
        truth = truth_of(folder)
        assert isinstance(truth, Truth)
        assert truth.victims == frozenset({"ns/restarted", "ns/replaced", "ns/gone"})

    def test_a_stated_truth_goes_first(self, tmp_path: Path) -> None:
        folder = self.recording(tmp_path / "docker-z-quiet", "True cause: none")
        stated = {"cause": "disk_full", "killer": "eviction", "victims": ["ns/a"], "quiet": False}
        (folder / "truth.json").write_text(json.dumps(stated))
        expected = Truth("disk_full", killer="eviction", victims=frozenset({"ns/a"}))
        assert truth_of(folder) == expected
        (folder / "truth.json").write_text('{"cause": "gremlins"}')
        assert isinstance(truth_of(folder), str)

    def test_a_kind_nobody_tabled_is_not_guessed(self, tmp_path: Path) -> None:
        folder = self.recording(tmp_path / "odd", "True cause: martians")
        assert "no entry" in str(truth_of(folder))


def pod(name: str, life: tuple[str, int]) -> dict[str, object]:
    uid, restarts = life
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": uid},
        "status": {"containerStatuses": [{"restartCount": restarts}]},
    }
