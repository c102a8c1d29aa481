"""Scenarios whose journal was recorded in the node in a box, played again to a real agent."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agent.times import parse
from tests.agents import MONITOR, NODE, now_us
from tests.fake_pods import stamp
from tests.reliability.machine import Load, Strain
from tests.reliability.scenario import NOTICE, PAGE, RECORDED, SILENT, Expected, Scenario
from tests.reliability.stage import Stage
from tests.replay import Entry, entry, paced, play, read_entries

STORIES = Path(__file__).resolve().parents[1] / "stories"
_LASTS_S = 12.0
_EARLIER_S = 1.0
_LATE_S = 2.0
_STOPPING = "Stopping docker.service"
_BACKUP = Strain(io_share=0.3, loads={"pg-0": Load(read_bytes=20_000_000)})


def _items(story: str, kind: str) -> list[dict[str, Any]]:
    raw = gzip.decompress((STORIES / story / f"{kind}.json.gz").read_bytes())
    found: list[dict[str, Any]] = json.loads(raw)["items"]
    return found


def journal_of(story: str) -> list[Entry]:
    """Return the recorded lines in order."""
    return read_entries(STORIES / story / "journal.export.gz")


def shows_pods(stage: Stage, story: str) -> None:
    """Let the story's pods be those of our node."""
    for known in stage.api.store.everything("pods")[1]:
        stage.api.store.delete("pods", "prod", known["metadata"]["name"])
    for thing in _items(story, "pods"):
        spec = {**thing["spec"], "nodeName": NODE}
        stage.api.store.put("pods", {**thing, "spec": spec})


def tells(stage: Stage, story: str, reasons: Sequence[str] = ("SandboxChanged",)) -> None:
    """Let the events of these reasons happen now, as the kubelet told them."""
    now = stamp(time.time())
    for event in _items(story, "events"):
        if event["reason"] in reasons:
            at = {"firstTimestamp": now, "lastTimestamp": now}
            source = {**event.get("source", {}), "host": NODE}
            about = event["involvedObject"]
            about = {**about, "name": NODE} if about["kind"] == "Node" else about
            stage.api.store.put(
                "events", {**event, **at, "source": source, "involvedObject": about}
            )


def replays(
    story: str, *, during_backup: bool = False, reasons: Sequence[str] = ("SandboxChanged",)
) -> Callable[[Stage], None]:
    """Play a story's journal, then its events; the blow falls where the first sandbox changed."""

    def act(stage: Stage) -> None:
        shows_pods(stage, story)
        time.sleep(_EARLIER_S)
        if during_backup:
            stage.announces_backup()
            stage.strain(_BACKUP, 3.0, hangs=False)
        entries = journal_of(story)
        changed = [
            parse(e["lastTimestamp"]) for e in _items(story, "events") if e["reason"] in reasons
        ]
        before = sum(one.at_us / 1e6 < min(changed, default=0.0) for one in entries)
        before = before or len(entries)
        timed = paced(entries, now_us() + 200_000, _LASTS_S)
        for _ in play(stage.journal, timed[:before]):
            pass
        stage.strikes()
        tells(stage, story, reasons)
        for _ in play(stage.journal, timed[before:]):
            pass
        stage.relax()

    return act


def _truth(story: str, alert: str, *causes: str) -> tuple[Expected, ...]:
    truth = json.loads((STORIES / story / "truth.json").read_text("utf-8"))
    if truth["quiet"]:
        return ()
    return (
        Expected(
            frozenset(causes or (truth["cause"],)),
            truth["killer"],
            frozenset(victim["pod"] for victim in truth["victims"]),
            alert,
            planned=truth["killer"] == "operator",
        ),
    )


def _story(story: str, says: str, alert: str, *, during_backup: bool = False) -> Scenario:
    act = replays(story, during_backup=during_backup)
    return Scenario(says, act, _truth(story, alert), RECORDED)


def _monitor_meets_restart(stage: Stage) -> None:
    """The journal of a restart; the monitor of 2018 speaks 2 s after docker was asked to stop."""
    shows_pods(stage, "planned-restart")
    time.sleep(_EARLIER_S)
    entries = paced(journal_of("planned-restart"), now_us() + 200_000, _LASTS_S)
    stop = next(at for at, one in enumerate(entries) if one.get("MESSAGE").startswith(_STOPPING))
    for _ in play(stage.journal, entries[: stop + 1]):
        pass
    time.sleep(_LATE_S)
    where = {name: entries[stop].get(name) for name in ("_BOOT_ID", "_MACHINE_ID")}
    stage.strikes([entry(now_us(), "Docker daemon failed!", _SYSTEMD_UNIT=MONITOR, **where)])
    tells(stage, "planned-restart")
    left = paced(entries[stop + 1 :], now_us() + 200_000, _LASTS_S / 2)
    for _ in play(stage.journal, left):
        pass


def _reboot(stage: Stage) -> None:
    """The agent ends with its node, and starts with it."""
    shows_pods(stage, "reboot")
    time.sleep(_EARLIER_S)
    entries = paced(journal_of("reboot"), now_us() + 200_000, _LASTS_S)
    first = [one for one in entries if one.get("_BOOT_ID") == entries[0].get("_BOOT_ID")]
    for _ in play(stage.journal, first):
        pass
    stage.agent.stop()
    _boots(stage, entries[len(first) :])


def _power_loss(stage: Stage) -> None:
    """The same without a word of the shutdown: the first boot just ends."""
    shows_pods(stage, "reboot")
    time.sleep(_EARLIER_S)
    entries = journal_of("reboot")
    second = [one for one in entries if one.get("_BOOT_ID") != entries[0].get("_BOOT_ID")]
    stage.journal.write([quiet_of(entries[0])])
    time.sleep(1.0)
    stage.agent.kill()
    _boots(stage, booting(second, 2.0, _LASTS_S))


def quiet_of(one: Entry) -> Entry:
    """Return a line of no consequence, now, in the boot of another one."""
    fields = tuple((n, b"all is well" if n == b"MESSAGE" else v) for n, v in one.fields)
    kept = tuple(
        (n, v) for n, v in fields if n not in (b"MESSAGE_ID", b"UNIT", b"SYSLOG_IDENTIFIER")
    )
    return Entry(kept).moved(now_us() - one.at_us)


def booting(entries: Sequence[Entry], from_s: float, lasts_s: float) -> list[Entry]:
    """Return a boot some seconds from now, with the first line that a kernel of its own says."""
    first = entries[0]
    kernel = entry(
        first.at_us - 1000,
        "Linux version 5.15.63-flatcar (build@host) (gcc) #1 SMP",
        _TRANSPORT="kernel",
        SYSLOG_IDENTIFIER="kernel",
        SYSLOG_FACILITY="0",
        _UID="",
        _BOOT_ID=first.get("_BOOT_ID"),
        _MACHINE_ID=first.get("_MACHINE_ID"),
    )
    return paced([kernel, *entries], now_us() + int(from_s * 1e6), lasts_s)


def _boots(stage: Stage, entries: Sequence[Entry]) -> None:
    for number, _ in enumerate(play(stage.journal, entries)):
        if number == len(entries) // 2:
            stage.agent.start()
    stage.strikes()
    tells(stage, "reboot", ("Rebooted", "SandboxChanged"))


def _lost_power() -> tuple[Expected, ...]:
    (known,) = _truth("reboot", PAGE)
    return (Expected(known.causes, "power", known.pods, PAGE),)


RECORDINGS = {
    "monitor kill of 2020": _story(
        "monitor-kill-2020", "dockerd hung (SIGSTOP); `systemctl kill` by the later monitor", PAGE
    ),
    "planned restart": _story("planned-restart", "`systemctl restart docker`", SILENT),
    "planned restart, monitor on": Scenario(
        "the same, and the monitor of 2018 finds no docker: it says that it kills it",
        _monitor_meets_restart,
        _truth("planned-restart", SILENT),
        f"{RECORDED}, the monitor's line written",
    ),
    "planned upgrade": _story(
        "upgrade",
        "apt re-installs docker.io and restarts it while an announced backup reads 20 MB/s",
        SILENT,
        during_backup=True,
    ),
    "dockerd out of memory": _story(
        "dockerd-oom", "dockerd reaches its own memory limit; the kernel kills it", NOTICE
    ),
    "dockerd crash": _story("dockerd-crash", "SIGSEGV, goroutine dump, exit status 2", PAGE),
    "spoofed kill lines": _story(
        "spoofed-kill", "eight of them: containers, logger, forged fields", SILENT
    ),
    "reboot": Scenario("in order, by systemctl", _reboot, _truth("reboot", SILENT), RECORDED),
    "power loss": Scenario(
        "the same journal without its shutdown, and with a kernel's first line; "
        "SIGKILL to the agent, which starts with the node",
        _power_loss,
        _lost_power(),
        f"{RECORDED}, its shutdown cut off",
    ),
}
