"""Incidents of the past, as an agent keeps them: explained, unknown, planned, hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.model import Diagnosis
from agent.report.jsonform import document
from agent.report.view import Report, report
from agent.sources.kept import kept, packed
from tests.handmade import PODS, founding, origin, unknown
from tests.hostile import TEXTS, hostile_diagnosis, hostile_report


def told(one: Report, number: int, diagnosis: Diagnosis, **more: object) -> tuple[str, bytes]:
    """An incident as an agent keeps it: its id, its line, and behind that the whole of it."""
    whole: dict[str, Any] = {**document(one), "stage": "settled"}
    name = f"abcd{number:04x}"
    whole["incidents"] = [{**whole["incidents"][0], "id": name, **more}]
    return name, json.dumps(whole).encode() + b"\n" + packed(kept(diagnosis, PODS))


def keep_incidents(folder: Path) -> None:
    folder.mkdir(parents=True)
    files = [
        told(report([founding()], origin()), 0, founding()),
        told(report([unknown()], origin()), 1, unknown()),
        told(report([founding()], origin()), 2, founding(), planned=True, cause="planned_restart"),
        *(told(hostile_report(t), 16 + n, hostile_diagnosis(t)) for n, t in enumerate(TEXTS)),
    ]
    for name, raw in files:
        (folder / f"{name}.json").write_bytes(raw)
