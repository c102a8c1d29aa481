"""The same fact in the words of different releases of systemd, the kernel, runtimes and kubelet.

A synonym lists its forms, the one that contains another first. ``$name`` stands for what differs
from line to line; what a form never said comes from the synonym's defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template

_PLACEHOLDER = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_WORD = r"\S+"
_PATTERNS = {
    "call": r"[A-Za-z]+ with filter",
    "comm": r"[\w.-]+",
    "day": r"\d{4}-\d\d-\d\d",
    "dirs": r"[^\]]*",
    "dots": r"\.\.\.|\.",
    "err": r'(?:[^"\\]|\\.)+',
    "flavour": r"rcu_\w+",
    "ns": r"[a-z0-9-]+",
    "number": r"\d+",
    "pod": r'[^"\\]+',
    "q": r'\\?"',
    "result": r"exit-code|signal",
    "time": r"[\d:.]+",
    "unit": r"[\w.@-]+\.service",
    "verb": r"Stopping|Stopped|Starting|Started|Failed to start",
    "zone": r"Z|[+-]\d{4}",
}


class Synonym:
    """One fact, and every way it has been printed."""

    def __init__(self, *forms: str, defaults: Mapping[str, str] | None = None) -> None:
        self.forms = forms
        self._defaults = dict(defaults or {})
        self._patterns = tuple(_pattern(form) for form in forms)

    def rewritten(self, text: str, wanted: int) -> str:
        """Return ``text`` with the first form found in it turned into form number ``wanted``."""
        for number, pattern in enumerate(self._patterns):
            found = pattern.search(text)
            if found is None:
                continue
            if number == wanted:
                return text
            said = Template(self.forms[wanted]).substitute({**self._defaults, **found.groupdict()})
            return text[: found.start()] + said + text[found.end() :]
        return text


def _pattern(form: str) -> re.Pattern[str]:
    """A form's own words, with its placeholders open; one at the end reaches the line's end."""
    parts: list[str] = []
    named: set[str] = set()
    at = 0
    for found in _PLACEHOLDER.finditer(form):
        name = found[1] or found[2]
        what = _PATTERNS.get(name, _WORD)
        parts.append(re.escape(form[at : found.start()]))
        parts.append(f"(?P={name})" if name in named else f"(?P<{name}>{what})")
        named.add(name)
        at = found.end()
    return re.compile("".join(parts) + (re.escape(form[at:]) or r"$"))


def _unit(unit: str, description: str) -> Synonym:
    """PID 1 names a unit by StatusUnitFormat=: combined, description (old default) or name."""
    names = (f"{unit} - {description}", description, unit)
    return Synonym(*(f"$verb {name}$dots" for name in names))


def _structured(new: str, old: str) -> Synonym:
    """Klog put the error behind the message before kubelet 1.19, and in err="…" since."""
    return Synonym(f'"{new}" err="$err"', f"{old}$err")


_SYSTEMD = (
    _unit("docker.service", "Docker Application Container Engine"),
    _unit("containerd.service", "containerd container runtime"),
    _unit("kubelet.service", "kubelet: The Kubernetes Node Agent"),
    _unit("k3s.service", "Lightweight Kubernetes"),
    Synonym("$unit: Succeeded.", "$unit: Deactivated successfully."),
    Synonym("$unit: Main process exited, code=", "$unit: main process exited, code="),
    Synonym(  # only results that the exit line says as well: v219 has no word for the others
        "$unit: Failed with result '$result'.",
        "Unit $unit entered failed state.",
        defaults={"result": "exit-code"},
    ),
    Synonym(
        "$unit: Scheduled restart job, restart counter is at $number.",
        "$unit: Service hold-off time over, scheduling restart.",
        "$unit: Service RestartSec=$wait expired, scheduling restart.",
        "$unit holdoff time over, scheduling restart.",
        defaults={"number": "1", "wait": "10s"},
    ),
)
_KERNEL = (
    Synonym(
        "NMI watchdog: BUG: soft lockup - CPU",
        "watchdog: BUG: soft lockup - CPU",
        "BUG: soft lockup - CPU",
    ),
    Synonym("rcu: INFO: $flavour detected", "INFO: $flavour detected"),
    Synonym("rcu: INFO: $flavour self-detected", "INFO: $flavour self-detected"),
    Synonym(
        "blk_update_request: I/O error, dev ",
        "print_req_error: I/O error, dev ",
        "I/O error, dev ",
    ),
    Synonym("blocked for more than 120 seconds.", "blocked for more than 122 seconds."),
    Synonym(
        "I/O $number QID $queue timeout, aborting",
        "I/O tag $number ($tag) opcode 0x1 (I/O Cmd) QID $queue timeout, aborting req_op:WRITE(1)"
        " size:$size",
        defaults={"tag": "10d3", "size": "4096"},
    ),
)
_RUNTIMES = (
    Synonym("Docker daemon failed!", "Container runtime docker failed!"),
    Synonym(
        "failed to setup network for sandbox ${q}${id}${q}: ",
        "failed to set up sandbox container ${q}${id}${q} network for pod ${q}${pod}${q}: "
        "networkPlugin cni failed to set up pod ${q}${pod}_${ns}${q} network: ",
        defaults={"pod": "pod-0", "ns": "default"},
    ),
    Synonym(
        'msg="Failed to load sandbox status for \\"$id\\""',
        'msg="failed to recover sandbox state" sandbox=$id',
    ),
    Synonym(
        '{"level":"warn","ts":"${day}T$time$zone","caller":"$caller","msg":"slow fdatasync",'
        '"took":"$took","expected-duration":"1s"}',
        "$day $time W | wal: sync duration of $took, expected less than 1s",
        defaults={"zone": "Z", "caller": "wal/wal.go:805"},
    ),
)
_KUBELET = (
    _structured("GenericPLEG: Unable to retrieve pods", "GenericPLEG: Unable to retrieve pods: "),
    _structured("Skipping pod synchronization", "skipping pod synchronization - "),
    Synonym(
        '"$call from runtime service failed" err="$err" filter="nil"',
        "$call nil from runtime service failed: $err",
    ),
    Synonym('"Failed to run kubelet" err="$err"', '"command failed" err="$err"'),
    Synonym(
        '"Eviction manager: attempting to reclaim" resourceName="$resource"',
        "eviction manager: attempting to reclaim $resource",
    ),
    Synonym(
        '"Eviction manager: must evict pod(s) to reclaim" resourceName="$resource"',
        "eviction manager: must evict pod(s) to reclaim $resource",
    ),
    Synonym(
        "fs: disk usage and inodes count on following dirs took $took: [$dirs]; will not log again"
        " for this container unless duration exceeds $limit",
        "du and find on following dirs took $took: [$dirs]",
        defaults={"limit": "2s"},
    ),
    Synonym(
        "Container $comm failed liveness probe, will be restarted",
        "Killing container with id $scheme://$comm:Container failed liveness probe.. "
        "Container will be killed and recreated.",
        defaults={"scheme": "docker"},
    ),
)

SYNONYMS: tuple[Synonym, ...] = (*_SYSTEMD, *_KERNEL, *_RUNTIMES, *_KUBELET)
