"""Two naive rivals the diagnosis has to beat: count keywords, blame the largest writer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agent.model import Cause, CgroupCounters, DiskCounters, Sample

WRITER_WINDOW_S = 60.0

# What somebody would grep for who has an hour; deliberately not the rulebook.
_KEYWORDS: dict[Cause, str] = {
    Cause.IO_SATURATION: r"slow|took too long|blocked for more than|i/o wait|iowait|fdatasync",
    Cause.CPU_STARVATION: r"soft lockup|cpu stall|throttl|starv",
    Cause.MEMORY_PRESSURE: r"SystemOOM|MemoryPressure|out of memory: kill|low on resource: memory",
    Cause.CONTAINER_OOM: r"OOMKilled|memory cgroup out of memory|as a result of limit|memcg",
    Cause.DISK_FULL: r"no space left|DiskPressure|disk quota|ephemeral-storage",
    Cause.DISK_ERROR: r"i/o error|input/output error|EXT4-fs error|buffer i/o|medium error",
    Cause.RUNTIME_HANG: r"deadline exceeded|PLEG is not healthy|daemon failed|semacquire",
    Cause.RUNTIME_CRASH: r"panic:|fatal error:|SIGSEGV|segfault|core dump",
    Cause.PLANNED_RESTART: r"unattended-upgrade|Upgrade:|Stopping |systemctl restart|SIGHUP",
    Cause.NODE_REBOOT: r"reboot|Linux version|boot id|shutdown",
    Cause.NODE_DRAIN: r"drain|evict|cordon|scale.?down|ScaleDown",
    Cause.KUBELET_RESTART: r"kubelet.*(panic|fatal|exited)|Starting kubelet",
    Cause.CNI_FAILURE: r"cni|network plugin|no IP addresses|networkPlugin",
    Cause.CONFIG_MISMATCH: r"cgroup driver|misconfigur|unknown flag|invalid config",
    Cause.CLOCK_OR_CERT: r"certificate|x509|expired|not yet valid|clock",
    Cause.VOLUME_THROTTLED: r"VolumeThrottl|burst balance|IOPS limit",
}
_COMPILED = {cause: re.compile(words, re.IGNORECASE) for cause, words in _KEYWORDS.items()}


def keyword_majority(messages: Iterable[str]) -> str:
    """Name the cause whose keywords stand in most lines; ``unknown`` when none does."""
    counts = dict.fromkeys(_COMPILED, 0)
    for message in messages:
        for cause, words in _COMPILED.items():
            counts[cause] += words.search(message) is not None
    best = max(counts, key=lambda cause: counts[cause])
    return best.value if counts[best] else Cause.UNKNOWN.value


def largest_writer(samples: Sequence[Sample]) -> tuple[str, str]:
    """Blame whoever wrote most in the last minute: (cause, its name); ``unknown`` when nobody."""
    if not samples:
        return Cause.UNKNOWN.value, ""
    last = samples[-1]
    first = next(one for one in samples if one.at_s >= last.at_s - WRITER_WINDOW_S)
    written = _written(first, last)
    if not written:
        return Cause.UNKNOWN.value, ""
    name = max(written, key=lambda who: written[who])
    cause = Cause.IO_SATURATION if written[name] > 0 else Cause.UNKNOWN
    return cause.value, name


def _written(first: Sample, last: Sample) -> dict[str, int]:
    before, after = _totals(first), _totals(last)
    return {name: after[name] - before.get(name, 0) for name in after if name in before}


def _totals(sample: Sample) -> dict[str, int]:
    """Bytes written by each control group; by each disk where no group was recorded."""
    if sample.cgroups:
        return {_name(one): one.write_bytes for one in sample.cgroups}
    return {_name(disk): disk.write_bytes for disk in sample.disks}


def _name(one: CgroupCounters | DiskCounters) -> str:
    return str(one.owner) if isinstance(one, CgroupCounters) else one.name
