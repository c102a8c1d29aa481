"""`knockon backup doctor`: which levers bite on this node, which do not, and why."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import NoData, UserError
from agent.printable import safe
from agent.recorder import psi
from agent.recorder.cgroups import Version, find_tree
from agent.recorder.host import Host
from backup.foreign.freeze import LONGEST_S, safe_longest_s
from backup.levers import limits, priority
from backup.levers.lever import Bites, Lever, as_table
from backup.levers.readers import Reader, reader_lever, reader_of, seen_from
from backup.postgres import server_facts
from backup.postgres.server_facts import ServerFacts
from backup.quantities import bytes_per_s
from backup.sensors.devices import Disk, all_disks, disks_under, number_of

SCHEMA = "knockon-backup-doctor/v1"
_SUPPOSED_BYTES_PER_S = 60e6  # a small cloud volume
_LARGE_BITE_S = 0.05
_CHARGING = frozenset({"ext2", "ext4", "btrfs", "f2fs", "xfs"})
"""File systems with cgroup writeback (cgroup-v2.rst, "Writeback")."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the table is about."""

    data: Path
    argv: tuple[str, ...] = ()
    server: ServerFacts | None = None
    bytes_per_s: float = _SUPPOSED_BYTES_PER_S

    @property
    def reader(self) -> Reader:
        """Who reads: a DSN without a program means a streaming client."""
        if self.argv:
            return reader_of(self.argv)
        return Reader.SERVER if self.server else Reader.UNKNOWN


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "doctor",
        help="what will bite here and what will not",
        description="Show which levers slow a backup on this node, and why the others do not.",
        epilog="exit status: 0 printed, 2 usage. Nothing is changed.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="where the data lies; default PGDATA, else here")
    add("--dsn", metavar="DSN", help="a server that streams: its timeouts bound every pause")
    add("--ceiling", metavar="200MB/s", help="rate to reckon with; default 60MB/s")
    add("--json", action="store_true", help=f"print {SCHEMA}")
    add("argv", nargs=argparse.REMAINDER, metavar="-- CMD", help="the tool that is meant")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    data = options.data or Path(os.environ.get("PGDATA") or Path.cwd())
    if not data.exists():
        raise UserError(f"--data {safe(str(data))}: no such folder", "the folder of the data")
    rate = bytes_per_s(options.ceiling) if options.ceiling else _SUPPOSED_BYTES_PER_S
    server = server_facts.ask(options.dsn) if options.dsn else None
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    levers = examine(Host(), Question(data, tuple(argv), server, rate))
    if options.json:
        sys.stdout.write(_as_json(levers))
    else:
        sys.stdout.write(as_table(levers, min(shutil.get_terminal_size((100, 24)).columns, 120)))
    return 0


def examine(host: Host, question: Question, number: str | None = None) -> tuple[Lever, ...]:
    """Look at everything that decides, and change nothing."""
    disks = data_disks(host, question.data, number)
    everywhere = all_disks(host)
    acting = (
        *limits.expected(host, everywhere),
        *priority.levers(disks, in_groups=limits.weighed_in_groups(host)),
        _freeze_lever(host, question.server),
    )
    return (
        reader_lever(question.reader),
        *seen_from(question.reader, acting),
        _hierarchy_lever(host),
        _writeback_lever(host, number or number_of(question.data)),
        _read_ahead_lever(disks, question.bytes_per_s),
        *_timeout_levers(question.server),
        pressure_lever(host),
    )


def data_disks(host: Host, data: Path, number: str | None = None) -> tuple[Disk, ...]:
    """Return the real disks below the data; where that cannot be seen, all that could be it."""
    found = disks_under(host, number or number_of(data))
    return found or tuple(disk for disk in all_disks(host) if not disk.stacked)


def freeze_lever(wanted: bool, longest_s: float, by_group: bool) -> Lever:
    """Say what stopping the program does here."""
    how = "its control group" if by_group else "SIGSTOP"
    if not wanted:
        return Lever("freeze", Bites.NO, f"not asked for; --freeze may stop it through {how}")
    why = f"{how}, at most {longest_s:g} s at a time; a server that streams to it waits as well"
    return Lever("freeze", Bites.YES, why)


def _freeze_lever(host: Host, server: ServerFacts | None) -> Lever:
    longest_s = LONGEST_S
    if server is not None and not server.trouble:
        longest_s = safe_longest_s(server.wal_sender_timeout_s, _tcp_timeout_s(server))
    group = any(place.writable for place in limits.freezing_places(host))
    how = "through its control group" if group else "by SIGSTOP"
    why = f"with exec --freeze, {how}; --freeze-slice {longest_s:g} is safe under the timeouts"
    return Lever("freeze", Bites.YES, why)


def pressure_lever(host: Host) -> Lever:
    """Say whether the governor can feel the node's disk."""
    name = "PSI (the governor's feeling)"
    try:
        psi.sample(host)
    except NoData as error:
        return Lever(name, Bites.NO, f"{error}; only the probe is left")
    except (OSError, ValueError) as error:
        return Lever(name, Bites.NO, f"{error}; only the probe is left")
    return Lever(name, Bites.YES, "/proc/pressure/io is the node's own, inside containers too")


def _hierarchy_lever(host: Host) -> Lever:
    version = find_tree(host).version
    name = "cgroup version"
    if version is Version.V2:
        return Lever(name, Bites.YES, "v2: a limit on a pod holds all of its containers")
    if version is Version.V1:
        why = "v1 is flat: a limit on a pod holds none of its containers, so ours is on the program"
        return Lever(name, Bites.PARTLY, why)
    return Lever(name, Bites.NO, "no control groups are mounted here")


def _writeback_lever(host: Host, number: str) -> Lever:
    name = "writeback accounting"
    kind = _file_system(host, number)
    if find_tree(host).version is not Version.V2:
        why = "v1 charges buffered writes to nobody: a spool on disk escapes every limit"
        return Lever(name, Bites.NO, why)
    if kind in _CHARGING:
        return Lever(name, Bites.YES, f"{kind} charges buffered writes to the group that wrote")
    why = f"{kind or 'this file system'} has no cgroup writeback: buffered writes go to the root"
    return Lever(name, Bites.NO, why)


def _file_system(host: Host, number: str) -> str:
    try:
        text = (host.proc / "self" / "mountinfo").read_text("utf-8", "replace")
    except OSError:
        return ""
    for line in text.splitlines():
        words = line.split()
        if len(words) > 8 and words[2] == number and "-" in words[6:-1]:
            return words[words.index("-", 6) + 1]
    return ""


def _read_ahead_lever(disks: Sequence[Disk], rate_bytes_per_s: float) -> Lever:
    name = "read_ahead_kb"
    if not disks:
        return Lever(name, Bites.UNKNOWN, "no disk was found below the data")
    disk = max(disks, key=lambda one: one.read_ahead_kb)
    bite_s = disk.read_ahead_kb * 1024 / rate_bytes_per_s
    why = (
        f"{disk.name}: {disk.read_ahead_kb} kB, so even a paced reader asks in bites of "
        f"{bite_s * 1e3:.0f} ms at {rate_bytes_per_s / 1e6:.0f} MB/s"
    )
    if bite_s > _LARGE_BITE_S:
        return Lever(name, Bites.NO, f"{why}; 128 is usual: blockdev --setra 256 /dev/{disk.name}")
    return Lever(name, Bites.YES, why)


def _tcp_timeout_s(server: ServerFacts) -> float:
    return 0.0 if server.over_unix_socket else server.tcp_user_timeout_s


def _timeout_levers(server: ServerFacts | None) -> tuple[Lever, ...]:
    names = ("wal_sender_timeout", "tcp_user_timeout")
    if server is None or server.trouble:
        why = server.trouble if server else "give --dsn, and the server is asked"
        return tuple(Lever(name, Bites.UNKNOWN, safe(why, 160)) for name in names)
    walsender_s, tcp_s = server.wal_sender_timeout_s, server.tcp_user_timeout_s
    wal = f"{walsender_s:g} s: bounds how long all of a client with -X stream may stop"
    tcp = f"{tcp_s:g} s: the server drops a client whose socket stays full for so long"
    if server.over_unix_socket:
        tcp = "no TCP here: a unix socket has no such timeout"
    return (
        Lever(names[0], Bites.YES, wal if walsender_s else "0: off, a client may stop for long"),
        Lever(
            names[1], _tcp_bites(tcp_s, server), tcp if tcp_s else "0: the system's own, minutes"
        ),
    )


def _tcp_bites(tcp_s: float, server: ServerFacts) -> Bites:
    bounded = 0 < tcp_s < 4 * LONGEST_S and not server.over_unix_socket
    return Bites.PARTLY if bounded else Bites.YES


def _as_json(levers: Sequence[Lever]) -> str:
    rows = [{"lever": one.name, "bites": one.bites, "why": one.why} for one in levers]
    return json.dumps({"schema": SCHEMA, "levers": rows}, indent=1) + "\n"
