"""Reads what ``kubectl describe`` says outside its Events: past ends and bad conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.sources.stamps import Clock, mail_stamp, unix_s

_KEY = re.compile(r"( *)([A-Z][\w ./-]{0,40}?):(?:\s+(\S.*))?$")
_CONTAINER = re.compile(r"  ([a-z0-9][a-z0-9-]{0,62}):$")
_WHEN = r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]?\w{3,5}"
_CONDITION = re.compile(
    rf"\s*(?P<name>[A-Z]\w{{2,80}})\s+(?P<status>True|False|Unknown)\s+{_WHEN}\s+(?P<since>{_WHEN})"
    r"\s+(?P<reason>[A-Z]\w{2,80})\s+(?P<message>\S.*)$"
)
_FRAME = re.compile(
    r"[\s-]+$|\s*Type\s+Status\s+Last|(?:Events|Conditions):"
)  # says nothing itself
_NODE_KEYS = frozenset(
    {"Roles", "Taints", "Unschedulable", "Capacity", "Allocatable", "ProviderID"}
)
_POD_KEYS = frozenset({"Controlled By", "Containers", "Init Containers", "QoS Class", "Node"})
_TOP = frozenset({"Name", "Namespace", "Status", "Reason", "Message", "Events", "Conditions"})


@dataclass(frozen=True, slots=True)
class Said:
    """One thing a describe output says, as an event would: reason, message, object, time."""

    reason: str
    message: str
    at_s: float | None
    kind: str
    name: str
    namespace: str = ""
    node: str = ""
    detail: dict[str, str] = field(default_factory=dict)


class Describe:
    """Follows the lines of a describe output and says what they add up to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._container = ""
        self._state: dict[str, str] | None = None  # of the State block being read
        self.kind = ""
        self.name = ""
        self.namespace = ""
        self.node = ""

    def see(self, line: str) -> Iterator[Said] | None:
        """What this line completes; ``None`` if it does not belong to a describe output."""
        condition = _CONDITION.match(line)
        if condition is not None:
            return self._condition(condition)
        container = _CONTAINER.match(line) if self.name else None
        if container is not None:
            return self._enter(container[1])
        match = _KEY.match(line)
        if match is None:
            return iter(()) if _FRAME.match(line) else None
        key, value = match[2], match[3] or ""
        return self._inner(key, value) if match[1] else self._top(key, value)

    def end(self) -> Iterator[Said]:
        """What the last block still had to say."""
        state, self._state = self._state, None
        if state and state.get("State") == "Terminated":
            yield self._ended(state)

    def _enter(self, container: str) -> Iterator[Said]:
        yield from self.end()
        self._container = container

    def _top(self, key: str, value: str) -> Iterator[Said] | None:
        if key not in _TOP | _NODE_KEYS | _POD_KEYS and not self.name:
            return None
        return self._top_key(key, value)

    def _top_key(self, key: str, value: str) -> Iterator[Said]:
        yield from self.end()
        if key == "Name":
            self.kind, self.name, self.namespace, self.node, self._container = "", value, "", "", ""
        elif key == "Namespace":
            self.namespace = value
        elif key == "Node":
            self.node = value.split("/", 1)[0]
        elif key == "Reason" and value and self.name:
            yield Said(value, "", None, "Pod", self.name, self.namespace, self.node)
        if key in _NODE_KEYS:
            self.kind = "Node"
        elif key in _POD_KEYS:
            self.kind = "Pod"

    def _inner(self, key: str, value: str) -> Iterator[Said] | None:
        if key in ("State", "Last State"):
            return self._new_state(value)
        if self._state is None:
            return iter(()) if self.name else None
        if key in ("Reason", "Exit Code", "Signal", "Message", "Started", "Finished"):
            self._state[key] = value
            return iter(())
        return self.end()

    def _new_state(self, value: str) -> Iterator[Said]:
        yield from self.end()
        self._state = {"State": value}

    def _ended(self, state: dict[str, str]) -> Said:
        stamp = mail_stamp(state.get("Finished", ""))
        at_s = None if stamp is None else unix_s(stamp, self._clock)
        reason, code = state.get("Reason", "Error"), state.get("Exit Code", "")
        detail = {"EXIT_STATUS": code, "DESCRIBE": "terminated", "CONTAINER": self._container}
        message = f"Last State: Terminated, Reason: {reason}, Exit Code: {code}"
        return Said(reason, message, at_s, "Pod", self.name, self.namespace, self.node, detail)

    def _condition(self, match: re.Match[str]) -> Iterator[Said]:
        name, status = match["name"], match["status"]
        if (name == "Ready") == (status == "True"):
            return  # as it should be
        since = mail_stamp(match["since"])
        at_s = None if since is None else unix_s(since, self._clock)
        detail = {"DESCRIBE": "condition", "CONDITION": f"{name}={status}"}
        yield Said(
            match["reason"], match["message"], at_s, "Node", self.name, "", self.name, detail
        )
