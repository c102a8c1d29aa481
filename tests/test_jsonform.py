"""The machine's form: the contract of knockon/v1, key by key, and the same bytes every time."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from agent.model import Cause, KillerKind
from agent.report.jsonform import as_json
from agent.report.view import Asked, report
from tests.golden_files import same_as_golden
from tests.handmade import founding, origin, unknown

CONTRACT = {
    "id", "node", "opened_at", "closed_at", "planned", "killer", "cause", "confidence",
    "hypotheses", "victims", "offender", "chain", "missing", "blind",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def both() -> dict[str, object]:
    said: dict[str, object] = json.loads(as_json(report([founding(), unknown()], origin())))
    return said


def incidents() -> list[dict[str, object]]:
    found = both()["incidents"]
    assert isinstance(found, list)
    return found


def test_document_is_golden() -> None:
    same_as_golden(as_json(report([founding(), unknown()], origin(spoofed=3))), "report.json")


def test_every_key_of_the_contract_is_there() -> None:
    said = both()
    assert said["schema"] == "knockon/v1"
    assert said["quiet"] is False
    assert all(set(incident) >= CONTRACT for incident in incidents())


def test_parts_have_the_keys_of_the_contract() -> None:
    first = incidents()[0]
    assert first["killer"] == {
        "kind": "health_monitor",
        "name": "kube-docker-monitor.service",
        "at": "2018-05-21T18:02:41.250000Z",
    }
    assert first["hypotheses"] == [
        {"cause": "io_saturation", "confidence": 0.82},
        {"cause": "planned_restart", "confidence": 0.07},
    ]
    assert first["offender"] == {
        "kind": "pod",
        "namespace": "prod",
        "name": "backup-7",
        "method": "share of written bytes (recorder, cgroup)",
    }
    for part, keys in (
        ("victims", {"namespace", "pod", "uid", "owner"}),
        ("chain", {"at", "what", "source"}),
        ("blind", {"from", "to", "source"}),
    ):
        rows = first[part]
        assert isinstance(rows, list)
        assert rows
        assert all(set(row) >= keys for row in rows)


def test_times_are_rfc3339_or_null() -> None:
    first, second = incidents()
    assert TIME.fullmatch(str(first["opened_at"]))
    assert TIME.fullmatch(str(first["closed_at"]))
    assert second["opened_at"] is None
    assert second["killer"] is None
    assert second["offender"] is None


def test_words_are_those_of_the_model() -> None:
    assert {incident["cause"] for incident in incidents()} <= {str(cause) for cause in Cause}
    assert str(KillerKind.HEALTH_MONITOR) == "health_monitor"


def test_round_trip_gives_the_same_bytes() -> None:
    text = as_json(report([founding(), unknown()], origin()))
    assert json.dumps(json.loads(text), indent=2) + "\n" == text
    assert text == as_json(report([founding(), unknown()], origin()))


def test_hostile_text_stays_inside_its_string() -> None:
    bad = 'x"},\x1b[2J\u202e\ud800\n'
    text = as_json(report([replace(founding(), verdict=bad)], origin()))
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["incidents"][0]["verdict"] == bad


def test_numbers_that_json_cannot_say_become_nought() -> None:
    text = as_json(report([replace(founding(), confidence=float("nan"))], origin()))
    assert json.loads(text)["incidents"][0]["confidence"] == 0.0


def test_quiet_and_asked() -> None:
    assert json.loads(as_json(report([], origin())))["quiet"] is True
    asked = Asked("prod", "nobody", found=False)
    said = json.loads(as_json(report([founding()], origin(), asked=asked)))
    assert said["incidents"] == []
    assert said["quiet"] is False
    assert said["asked"] == {"namespace": "prod", "pod": "nobody", "found": False}
    assert [other["id"] for other in said["other_incidents"]] == ["7f3a90c1d2"]
