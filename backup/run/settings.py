"""What a run is asked to do: options of the command line over a file, each of a checked type."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from agent.errors import UserError
from agent.printable import safe
from backup.metrics import Outlet, as_name, named_after
from backup.postgres.order import ASSUMED_BYTES_PER_S
from backup.run.lease import checked_name
from backup.store.layout import WalMode

Word = TypeVar("Word", bound=StrEnum)
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g)?(i)?b?(?:/s|ps)?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}
_LEAST_RATE = 32 * 1024
_MOST_LABEL = 200  # the server's own limit is 1024, the lock and the log show it too


class Miss(StrEnum):
    """What to do when the deadline cannot be met without harm."""

    LATE = "late"  # yield all the same, and be late
    HARM = "harm"  # keep the deadline, whoever waits for the disk
    STOP = "stop"  # go on until the deadline, then stop with status 5


@dataclass(frozen=True, slots=True)
class Settings:
    """One run's orders."""

    dsn: str
    to: str
    wal: WalMode = WalMode.STREAM
    deadline_s: float | None = None
    on_miss: Miss = Miss.LATE
    ceiling_bytes_per_s: float | None = None
    key_file: Path | None = None
    probe: str = ""
    label: str = "knockon"
    fast_checkpoint: bool = False
    lease: str = ""
    """A Lease to hold meanwhile, in the namespace we run in; nothing: none."""
    lock_wait_s: float = 0.0
    """For so long another run is waited for, which may be dead; then it is exit status 4."""
    metrics_port: int | None = None
    outlet: Outlet = field(default_factory=Outlet)

    @property
    def max_rate_bytes_per_s(self) -> float:
        """The server's own brake: the ceiling, else what every common volume can do."""
        return self.ceiling_bytes_per_s or ASSUMED_BYTES_PER_S


def rate(text: str) -> float:
    """Read a rate: 200MB/s, 64MiB, 1.5g.

    >>> rate("200MB/s")
    200000000.0
    """
    found = _RATE.fullmatch(text.strip())
    if not found:
        raise UserError(f"{safe(text)!r} is no rate", "write 200MB/s or 64MiB/s")
    step = 1024.0 if found[3] else 1000.0
    bytes_per_s = float(found[1]) * step ** _POWERS[(found[2] or "").lower()]
    if bytes_per_s < _LEAST_RATE:
        raise UserError(f"{safe(text)} is too slow for any backup", "32 KiB/s is the least")
    return bytes_per_s


def duration_s(text: str) -> float:
    """Read a duration: 6h, 90m, 1d.

    >>> duration_s("6h")
    21600.0
    """
    found = _DURATION.fullmatch(text.strip())
    if not found or float(found[1]) <= 0:
        raise UserError(f"{safe(text)!r} is no duration", "write 6h, 90m or 3600s")
    return float(found[1]) * _SECONDS[found[2]]


def from_options(options: argparse.Namespace) -> Settings:
    """Join command line and file; the command line wins."""
    file = _read(options.config) if options.config else {}
    picked = _Picked(options, file)
    if not picked.text("to"):
        raise UserError("where to?", "--to file:///dir, s3://bucket/prefix, gs://… or az://…")
    ceiling, deadline = picked.text("ceiling"), picked.text("deadline")
    key_file, lease = picked.text("encrypt_key_file"), picked.text("lease")
    lock_wait = picked.text("lock_wait")
    return Settings(
        dsn=picked.text("dsn"),
        to=picked.text("to"),
        wal=_word(picked.text("wal") or "stream", "wal", WalMode),
        deadline_s=duration_s(deadline) if deadline else None,
        on_miss=_word(picked.text("on_miss") or "late", "on-miss", Miss),
        ceiling_bytes_per_s=rate(ceiling) if ceiling else None,
        key_file=Path(key_file) if key_file else None,
        probe=picked.text("probe"),
        label=(picked.text("label") or "knockon")[:_MOST_LABEL],
        fast_checkpoint=picked.flag("fast_checkpoint"),
        lease=checked_name(lease) if lease else "",
        lock_wait_s=duration_s(lock_wait) if lock_wait else 0.0,
        metrics_port=picked.port("metrics_port"),
        outlet=_outlet(picked, picked.text("to")),
    )


def outlet_of(options: argparse.Namespace, place: str) -> Outlet:
    """Return where metrics are kept, for commands that share only that with a run."""
    return _outlet(_Picked(options, _read(options.config) if options.config else {}), place)


def _outlet(picked: _Picked, place: str) -> Outlet:
    textfile, given = picked.text("metrics_textfile"), picked.text("name")
    name = as_name(given) if given else named_after(place)
    if given and name != given:
        raise UserError(
            f"{safe(given)} cannot be a name", "letters, digits, '-', '_' and '.', at most 63"
        )
    gateway = picked.text("metrics_pushgateway")
    return Outlet(Path(textfile) if textfile else None, gateway, name)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a run."""
    add = parser.add_argument
    add("--dsn", metavar="DSN", help="host=… user=… or postgresql://…; else the PG* variables")
    add("--to", metavar="URL", help="file:///dir, s3://bucket/prefix, gs://…, az://…")
    add("--deadline", metavar="6h", help="be done by then; a miss is announced, not hidden")
    add(
        "--on-miss", choices=[how.value for how in Miss], help="when it cannot be met; default late"
    )
    add("--ceiling", metavar="200MB/s", help="never faster; also the server's own brake")
    add("--wal", choices=[mode.value for mode in WalMode], help="default: stream")
    add(
        "--encrypt-key-file",
        "--key-file",
        metavar="FILE",
        help="or KNOCKON_BACKUP_KEY; 64 hex digits",
    )
    add("--probe", metavar="WHAT", help="docker:///var/run/docker.sock or file:PATH")
    add("--label", metavar="TEXT", help="goes into backup_label")
    add("--fast-checkpoint", action="store_true", default=None, help="a burst of writes at start")
    add("--lease", metavar="NAME", help="in a pod: hold this Lease meanwhile; others wait")
    add("--lock-wait", metavar="4m", help="wait for another run, which may be dead; default: not")
    add("--metrics-port", type=int, metavar="PORT", help="serve /metrics while running")
    add_outlet(parser)


def add_outlet(parser: argparse.ArgumentParser) -> None:
    """Declare where settings come from and metrics go to."""
    add = parser.add_argument
    add("--name", metavar="NAME", help="of the database, in metrics; default: the store's folder")
    add("--metrics-textfile", metavar="DIR", help="keep metrics in this textfile directory")
    add("--metrics-pushgateway", metavar="URL", help="push metrics at the end")
    add("--config", type=Path, metavar="FILE", help="TOML with the same names")


class _Picked:
    """One option after the other: from the command line, else from the file."""

    def __init__(self, options: argparse.Namespace, file: Mapping[str, object]) -> None:
        self._options = options
        self._file = file

    def text(self, name: str) -> str:
        value = self._value(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise UserError(f"{name} is no text", f'write {name} = "…"')
        return value

    def flag(self, name: str) -> bool:
        value = self._value(name)
        if value not in (None, True, False):
            raise UserError(f"{name} is neither true nor false", f"write {name} = true")
        return value is True

    def port(self, name: str) -> int | None:
        value = self._value(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 65536:
            raise UserError(f"{safe(str(value))} is no port", "--metrics-port 9187")
        return value

    def _value(self, name: str) -> object:
        given = getattr(self._options, name, None)
        return self._file.get(name) if given is None else given


_KEYS = frozenset(
    {
        *(
            "dsn",
            "to",
            "wal",
            "deadline",
            "on_miss",
            "ceiling",
            "encrypt_key_file",
            "probe",
            "label",
            "lease",
            "lock_wait",
        ),
        *("fast_checkpoint", "metrics_port", "metrics_textfile", "metrics_pushgateway", "name"),
    }
)


def _read(path: Path) -> Mapping[str, object]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", "--config names a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}", "names are those of the options") from None
    backup = found.get("backup", found)
    if not isinstance(backup, dict):
        raise UserError(f"{path}: backup is no table", "[backup] and one name a line")
    named = {key.replace("-", "_"): value for key, value in backup.items()}
    unknown = sorted(named.keys() - _KEYS)
    if unknown:
        raise UserError(f"{path}: unknown setting {safe(unknown[0])}", ", ".join(sorted(_KEYS)))
    return named


def _word(text: str, name: str, words: type[Word]) -> Word:
    try:
        return words(text)
    except ValueError:
        raise UserError(f"{name} = {safe(text)}", f"one of {', '.join(words)}") from None
