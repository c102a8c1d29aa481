"""One look at the node: pressure, memory, disks and control groups as a Frame.

Nothing here forks, imports, or touches a disk: every file lies in /proc, /sys or a cgroup tree and
stays open. What cannot be read is said, once or with its time, and never stops the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.errors import NoData
from agent.model import BlindSpot, Sample, SubjectKind
from agent.recorder.cgroup_files import BELOW, GONE, IO, Meter
from agent.recorder.cgroups import Group, Tree, Version, find_groups, find_tree
from agent.recorder.disks import Devices, Disks, find_devices
from agent.recorder.frame import DISK, MEMORY, PSI, Frame, Key, Row, Samples, group_key
from agent.recorder.host import Host
from agent.recorder.keptfile import allow_many_files
from agent.recorder.memory import Memory
from agent.recorder.psi import Pressure

LOOK_AGAIN_S = 10.0
RESTLESS_S = 30.0  # a unit went: it may be back any second, which is what we are here to see
_LOOK_SOON_S = 2.0
WHOLE_EVERY = 4  # a sleeping group is read in full every so many samples, each at its own turn
V1_WRITES = (
    "cgroup v1 charges buffered writes to the root group: a pod's written bytes are direct I/O only"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """One second, what could not be read in it, and which collectors did their work."""

    frame: Frame
    gaps: tuple[BlindSpot, ...] = ()
    worked: Mapping[str, bool] = field(default_factory=dict)

    @property
    def sample(self) -> Sample:
        """The same with names and units."""
        return Samples().sample(self.frame)


class Sampler:
    """Keeps a node's files open and reads them whenever it is asked."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._tree: Tree = find_tree(host)
        self._devices = Devices()
        self._pressure, self._memory, self._disks = Pressure(host), Memory(host), Disks(host)
        self._meters: dict[Key, Meter] = {}
        self._carried: dict[str, Row] = {}  # by pod: I/O of containers that are gone (v1)
        self._looked_s = float("-inf")
        self._restless_until_s = float("-inf")
        self._turn = 0
        self._limits: dict[str, None] = {}
        self._mute: set[str] = set()
        self._collectors: tuple[tuple[str, Callable[[dict[Key, Row]], None]], ...] = (
            ("pressure", self._add_pressure),
            ("memory", self._add_memory),
            ("disks", self._add_disks),
            ("cgroups", self._add_groups),
        )
        allow_many_files()

    @property
    def limits(self) -> tuple[str, ...]:
        """What this node can never tell, as far as it was noticed."""
        return tuple(self._limits)

    @property
    def groups(self) -> int:
        """How many control groups are sampled."""
        return len(self._meters)

    def sample(self, at_s: float) -> Taken:
        """Look once; look around for new control groups every ten seconds."""
        pause_s = _LOOK_SOON_S if at_s < self._restless_until_s else LOOK_AGAIN_S
        if not 0 <= at_s - self._looked_s < pause_s:  # also when the clock was set back
            self._looked_s = at_s
            self._look_around()
        self._turn += 1
        rows: dict[Key, Row] = {}
        gaps: list[BlindSpot] = []
        worked: dict[str, bool] = {}
        for name, collect in self._collectors:
            try:
                collect(rows)
            except NoData as why:
                self._limits[str(why)] = None
                self._mute.add(name)
            except (OSError, ValueError) as error:
                gaps.append(BlindSpot("recorder", f"{name}: {error}", at_s, at_s))
            worked[name] = name not in self._mute and not any(
                gap.why.startswith(f"{name}:") for gap in gaps
            )
        return Taken(Frame(round(at_s * 1000), rows), tuple(gaps), worked)

    def close(self) -> None:
        """Close every file."""
        self._pressure.close()
        self._memory.close()
        self._disks.close()
        for meter in self._meters.values():
            meter.close()
        self._meters.clear()

    def _add_pressure(self, rows: dict[Key, Row]) -> None:
        if "pressure" in self._mute:
            return
        for name, numbers in self._pressure.numbers().items():
            rows[PSI, name] = numbers

    def _add_memory(self, rows: dict[Key, Row]) -> None:
        rows[MEMORY,] = self._memory.numbers()

    def _add_disks(self, rows: dict[Key, Row]) -> None:
        for name, numbers in self._disks.numbers(self._devices.whole):
            rows[DISK, name] = numbers

    def _add_groups(self, rows: dict[Key, Row]) -> None:
        lost: list[str] = []
        turn = self._turn
        for number, (key, meter) in enumerate(list(self._meters.items())):
            try:
                rows[key] = meter.read((turn + number) % WHOLE_EVERY == 0)
            except OSError as error:
                self._drop(key)
                if meter.group.owner.kind is SubjectKind.UNIT:
                    self._restless_until_s = self._looked_s + LOOK_AGAIN_S + RESTLESS_S
                if error.errno not in GONE:
                    lost.append(f"{meter.group.path}: {error}")
            except ValueError as error:
                self._drop(key)
                lost.append(f"{meter.group.path}: {error}")
        if self._tree.version is Version.V1:
            self._add_up_io(rows)
        if lost:
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            raise ValueError(f"{lost[0]}{more}")

    def _add_up_io(self, rows: dict[Key, Row]) -> None:
        """Give a pod the I/O of its containers where an older v1 kernel does not add it up."""
        below: dict[str, list[Row]] = {}
        for key, meter in self._meters.items():
            if meter.group.container and key in rows:
                below.setdefault(meter.group.owner.uid, []).append(rows[key][IO])
        for key, meter in self._meters.items():
            group = meter.group
            if (
                group.container
                or not group.owner.uid
                or meter.counts_children_io
                or key not in rows
            ):
                continue
            parts = [*below.get(group.owner.uid, ()), self._carried.get(group.owner.uid, (0,) * 4)]
            row = rows[key]
            own = tuple(map(sum, zip(row[IO], *parts, strict=True)))
            rows[key] = row[: IO.start] + own + row[IO.stop :]

    def _drop(self, key: Key) -> None:
        meter = self._meters.pop(key)
        meter.close()
        uid = meter.group.owner.uid
        if meter.group.container and self._tree.version is Version.V1:
            before = self._carried.get(uid, (0,) * 4)
            self._carried[uid] = tuple(map(sum, zip(before, meter.row[IO], strict=True)))
        elif not meter.group.container:
            self._carried.pop(uid, None)

    def _look_around(self) -> None:
        if not self._meters:
            self._tree = find_tree(self._host)
        self._devices = find_devices(self._host)
        found = find_groups(self._tree)
        if self._tree.version is Version.V1:
            self._limits[V1_WRITES] = None
        if found.left_out:
            self._limits[f"{found.left_out} control groups were too many and are not sampled"] = (
                None
            )
        wanted = {group_key(group.owner, group.container): group for group in found.groups}
        for key in [key for key in self._meters if key not in wanted]:
            self._drop(key)
        for key, group in wanted.items():
            if key not in self._meters:
                self._open(key, group)
        self._note_absent()

    def _note_absent(self) -> None:
        """Say which counter no pod has: a nought of it means nothing."""
        pods = [
            m.absent for m in self._meters.values() if m.group.owner.uid and not m.group.container
        ]
        for name in sorted(set.intersection(*pods)) if pods else ():
            if not name.endswith(BELOW):  # an older v1 kernel: the containers are added up instead
                self._limits[f"no pod has {name}: what it counts is shown as nought"] = None

    def _open(self, key: Key, group: Group) -> None:
        try:
            self._meters[key] = Meter(group, self._tree, self._devices.stacked)
        except (NoData, ValueError):  # a folder without counters, or one that no kernel made
            return
        except OSError as error:
            if error.errno not in GONE:
                self._limits[f"control groups cannot be opened: {error.strerror}"] = None
