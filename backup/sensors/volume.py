"""What the volume below the database moves, whoever asks it to: everybody may read it.

``/sys/block/*/stat`` (Documentation/block/stat.rst): requests and sectors completed, of 512 bytes
whatever the device says. It is the same in every container.
"""

from __future__ import annotations

from pathlib import Path

from agent.recorder.host import Host
from agent.recorder.keptfile import KeptFile
from backup.law.volume import Moved
from backup.sensors.devices import disks_under

SECTOR_BYTES = 512
_READS, _READ_SECTORS, _WRITES, _WRITTEN_SECTORS = 0, 2, 4, 6


class VolumeMeter:
    """Reads one device's counters, kept open."""

    def __init__(self, stat: Path) -> None:
        self._file = KeptFile(stat)
        self._last: tuple[float, int, int] | None = None
        self.blind = ""

    def moved(self, now_s: float) -> Moved | None:
        """Return what was moved since the last call; None at the first, or where it is unknown."""
        try:
            words = self._file.read(512).split()
            size = (int(words[_READ_SECTORS]) + int(words[_WRITTEN_SECTORS])) * SECTOR_BYTES
            count = int(words[_READS]) + int(words[_WRITES])
        except (OSError, ValueError, IndexError) as error:
            self.blind = f"volume: {error}"
            self._last = None
            return None
        self.blind = ""
        before, self._last = self._last, (now_s, size, count)
        if before is None or now_s <= before[0] or size < before[1]:
            return None
        passed_s = now_s - before[0]
        return Moved((size - before[1]) / passed_s, (count - before[2]) / passed_s)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


def volume_under(host: Host, number: str) -> VolumeMeter | None:
    """Return the meter of the one real disk below a device; None where there is none, or several.

    Of several disks (RAID, striped LVM) none is the one that fills up first.
    """
    disks = disks_under(host, number) if number else ()
    if len(disks) != 1:
        return None
    stat = host.sys / "dev" / "block" / disks[0].number / "stat"
    return VolumeMeter(stat) if stat.exists() else None
