"""Disks: full, broken, too slow for what was asked, or held back by the cloud."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.diagnosis.case import Case
from agent.diagnosis.causes.pressure import io_evidence, plateau_evidence
from agent.diagnosis.weigh import (
    DECISIVE,
    FAIR,
    HINT,
    STRONG,
    WEAK,
    hypothesis,
    of_strength,
    reason,
    told_again,
)
from agent.model import Cause, Evidence, Fact, Hypothesis, Kind

SPACE = ("ephemeral-storage", "nodefs", "imagefs", "inodes", "diskpressure", "disk")
OWN_SPACE = ("emptydir", "ephemeral")
LONG_REQUEST_S = 2.0
"""etcd's own liveness and the API server's readiness both give up near two seconds."""


WRITES_BACK = re.compile(r"jbd2|kworker/u|flush|xfsaild|xfs-|btrfs-|txg_sync|dmcrypt|loop\d|md\d")
"""Threads that only ever wait for a disk (fs/jbd2, mm/page-writeback.c, fs/xfs)."""


SEEN_FULL = frozenset(
    {
        "df-shows-full",
        "df-shows-full-run",
        "df-shows-other-full",
        "inodes-used-up",
        "thin-pool-full",
        "pool-runs-full",
    }
)
"""Rules that read the fill itself, not an error that mentions it."""

FILE_SYSTEM = re.compile(r"EXT[234]-fs|JBD2|Aborting journal|XFS \(|BTRFS|F2FS")
"""Who speaks when a file system gives up; a device would have spoken of I/O errors before."""


def _about_space(fact: Fact) -> bool:
    told = (fact.detail.get("resource") or fact.text).lower()
    return any(word in told for word in SPACE)


def _about_own_space(fact: Fact) -> bool:
    """The limit of one pod, which is not the size of a file system (localStorageEviction)."""
    told = (fact.detail.get("resource") or fact.text).lower()
    return any(word in told for word in OWN_SPACE) and not _about_space(fact)


def disk_full(case: Case) -> Hypothesis | None:
    """A file system had no room: writes failed, or the kubelet evicts for storage."""
    evidence: list[Evidence] = []
    short = case.of(Kind.DISK_SHORT)
    told = of_strength("strong", short, default="strong")
    if told:
        evidence.append(reason(STRONG + 0.05, "a file system had no space left", told))
    elif short:
        evidence.append(reason(WEAK + 0.05, "a store reports that it has no room", short))
        evidence.extend(told_again(short))
    evicted = case.of(Kind.POD_EVICTED_FOR_PRESSURE, Kind.EVICTION_THRESHOLD, where=_about_space)
    if evicted:
        evidence.append(reason(STRONG, "the kubelet evicts, or refuses pods, for storage", evicted))
    own = case.of(Kind.POD_EVICTED_FOR_PRESSURE, where=_about_own_space)
    if own and not evicted:
        says = "a pod was evicted for more space than it may use; the file system may have had some"
        evidence.append(reason(FAIR + 0.05, says, own))
    room = case.of(Kind.DISK_ROOM)
    if told and room and not evicted and not any(f.rule in SEEN_FULL for f in short):
        says = "df shows room: it is another limit, or a file system that was not looked at"
        evidence.append(reason(-0.5, says, room))
    return hypothesis(Cause.DISK_FULL, evidence, ("df and df -i of the path that was written to",))


def disk_error(case: Case) -> Hypothesis | None:
    """A device or file system reports errors of its own."""
    errors = case.of(Kind.DISK_ERROR)
    if not errors:
        return hypothesis(Cause.DISK_ERROR, _only_aborted(case))
    own = all(_is_file_systems_own(fact) for fact in errors)
    weight = FAIR + 0.1 if own else STRONG + 0.1
    evidence = [reason(weight, "device or file system reports errors", errors)]
    if len({fact.text for fact in errors}) > 1:
        evidence.append(reason(WEAK, "in more than one place or way", errors))
    killed = case.of(Kind.OOM_INVOKED, Kind.OOM_IN_MEMCG, Kind.OOM_KILL, Kind.OOM_NODE_WIDE)
    if killed and own:
        says = "a file system failed while memory ran out, and no device reports an error"
        evidence.append(reason(-0.5, says, killed))
    return hypothesis(Cause.DISK_ERROR, evidence)


def _only_aborted(case: Case) -> list[Evidence]:
    """Commands given up after 30 s, and nobody who was busy: the device is ill, as far as told."""
    slow = case.of(Kind.IO_SLOW)
    busy = case.has(Kind.IO_PRESSURE, Kind.HUNG_TASK, Kind.VOLUME_THROTTLED, Kind.BACKUP_RUNNING)
    if slow and not busy and all(fact.detail.get("what") == "abort" for fact in slow):
        says = "the device left commands without an answer, and nothing tells of load"
        return [reason(FAIR + 0.05, says, slow)]
    return []


def _is_file_systems_own(error: Fact) -> bool:
    return FILE_SYSTEM.match(error.text) is not None


def io_saturation(case: Case) -> Hypothesis | None:
    """The disk was asked for more than it could give, and others waited for it."""
    evidence: list[Evidence] = list(io_evidence(case))
    slow = case.of(Kind.IO_SLOW)
    strong = of_strength("strong", slow)
    medium = of_strength("medium", slow)
    weak = tuple(f for f in slow if f not in strong and f not in medium)
    if strong and _only_aborted(case):
        says = "commands to the disk were given up: broken or busy"
        evidence.append(reason(FAIR - 0.1, says, strong))
    elif strong:
        evidence.append(reason(STRONG + 0.05, "writes to disk took seconds", strong))
    if medium:
        evidence.append(reason(FAIR - 0.05, "work on the disk took very long", medium))
    if weak:
        says = "requests that need the disk took too long"
        evidence.append(reason(_weight_of_waits(weak), says, weak))
    told = case.of(Kind.IO_PRESSURE)
    if told:
        evidence.append(reason(STRONG, "the node reports I/O pressure", told))
    evidence.extend(_blocked(case))
    if evidence and case.has(Kind.DISK_ERROR):
        errors = case.of(Kind.DISK_ERROR)
        evidence.append(reason(-0.5, "the device reports errors: broken, not busy", errors))
    evidence.extend(_at_own_limit(case) if evidence else ())
    missing = ("I/O pressure (PSI) before it happened", "who read or wrote most")
    return hypothesis(Cause.IO_SATURATION, evidence, missing)


def _at_own_limit(case: Case) -> list[Evidence]:
    """Only a container ended, by its own memory limit: the disk may be busy, it did not do that."""
    killed = case.of(Kind.OOM_AT_LIMIT, Kind.OOM_IN_MEMCG)
    if not killed or case.runtime_deaths or case.killed_by_monitor:
        return []
    says = "a container stood at its own memory limit; a busy disk does not do that"
    return [reason(-0.6, says, killed)]


def _blocked(case: Case) -> list[Evidence]:
    """Tasks that the kernel saw blocked: those that only ever wait for a disk say most."""
    evidence: list[Evidence] = []
    hung = case.of(Kind.HUNG_TASK)
    writers = [f for f in hung if WRITES_BACK.match(f.detail.get("comm", ""))]
    tasks = {f.detail.get("comm", f.text) for f in hung}
    if writers:
        evidence.append(reason(WEAK, "the kernel's own writers were blocked", writers))
        others = len(tasks) - len({f.detail.get("comm", "") for f in writers})
        if others:
            weight = HINT if others == 1 else HINT + 0.1
            evidence.append(reason(weight, "and tasks that waited for them", hung))
    elif len(tasks) > 1:
        evidence.append(reason(WEAK - 0.05, "several tasks were blocked in the kernel", hung))
    elif hung:
        evidence.append(reason(HINT, "a task was blocked in the kernel", hung))
    return evidence


def _weight_of_waits(waits: Sequence[Fact]) -> float:
    """Two long ones are more than a hiccup, but none of them names the disk."""
    long = [f for f in waits if _seconds(f) >= LONG_REQUEST_S]
    return FAIR if len(long) > 1 else WEAK


def _seconds(fact: Fact) -> float:
    try:
        return float(fact.detail.get("seconds", "0"))
    except ValueError:
        return 0.0


def volume_throttled(case: Case) -> Hypothesis | None:
    """The cloud held the volume at a ceiling: credits spent, or an IOPS or throughput cap."""
    evidence: list[Evidence] = list(plateau_evidence(case))
    told = case.of(Kind.VOLUME_THROTTLED)
    if told:
        measured = any("metric" in f.detail or f.source == "events" for f in told)
        sure = measured or len({f.text for f in told}) > 1
        weight = DECISIVE if sure else STRONG + 0.08
        evidence.append(reason(weight, "the volume's limit is reported as reached", told))
    return hypothesis(
        Cause.VOLUME_THROTTLED, evidence, ("the volume's burst balance or its throttling metric",)
    )
