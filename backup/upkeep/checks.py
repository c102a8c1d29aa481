"""What later checks of a backup found, kept next to it: what is published is never rewritten."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from backup.fields import Fields, Malformed
from backup.store.errors import Missing
from backup.store.layout import checks_key
from backup.store.store import Store

SCHEMA = "knockon-checks/v1"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one kind: when it ended, how, and how long it took."""

    at_s: float
    ok: bool
    took_s: float
    says: str


@dataclass(frozen=True, slots=True)
class Checks:
    """The last check of each kind."""

    verify: Check | None = None
    restore_test: Check | None = None

    @property
    def failed(self) -> bool:
        """Tell whether either found it bad: such a backup is not one to rely on."""
        return any(one is not None and not one.ok for one in (self.verify, self.restore_test))

    @property
    def passed(self) -> bool:
        """Tell whether at least one was made and none found it bad."""
        made = any(one is not None for one in (self.verify, self.restore_test))
        return made and not self.failed


def read_checks(store: Store, backup_id: str) -> Checks:
    """What is known so far; nothing where nobody checked, or wrote what cannot be read."""
    try:
        fields = Fields.parse(store.read(checks_key(backup_id)))
        return Checks(_check(fields.inner("verify")), _check(fields.inner("restore_test")))
    except (Missing, Malformed):
        return Checks()


def record(
    store: Store, backup_id: str, *, verify: Check | None = None, restore_test: Check | None = None
) -> None:
    """Keep what one check found beside what the other found."""
    checks = read_checks(store, backup_id)
    if verify is not None:
        checks = replace(checks, verify=verify)
    if restore_test is not None:
        checks = replace(checks, restore_test=restore_test)
    body = {"schema": SCHEMA} | asdict(checks)
    store.put(checks_key(backup_id), json.dumps(body, indent=1).encode() + b"\n")


def _check(fields: Fields | None) -> Check | None:
    if fields is None:
        return None
    return Check(
        fields.number("at_s"), fields.flag("ok"), fields.number("took_s"), fields.text("says")
    )
