"""The BASE_BACKUP command, in the grammar of 15 and later and in the one before."""

from __future__ import annotations

from dataclasses import dataclass

from backup.store.layout import MANIFEST_CHECKSUMS

LEAST_KIB, MOST_KIB = 32, 1_048_576  # what the server accepts as MAX_RATE
# gp3's baseline, the slowest volume that is common today, gives 125 MiB/s.
ASSUMED_BYTES_PER_S = 100_000_000


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """What is ordered."""

    label: str
    max_rate_bytes_per_s: float
    include_wal: bool = False
    wait_for_archive: bool = False
    fast_checkpoint: bool = False

    def command(self, server_version: int) -> str:
        """Return the command for this server."""
        return self._modern() if server_version >= 150000 else self._ancient()

    @property
    def max_rate_kib(self) -> int:
        """MAX_RATE as the server wants it; never absent, it is the brake that outlives us."""
        return min(max(int(self.max_rate_bytes_per_s / 1024), LEAST_KIB), MOST_KIB)

    def _modern(self) -> str:
        checkpoint = "fast" if self.fast_checkpoint else "spread"
        options = [
            f"LABEL {quoted(self.label)}",
            "PROGRESS",
            f"CHECKPOINT '{checkpoint}'",
            f"WAL {int(self.include_wal)}",
            f"WAIT {int(self.wait_for_archive)}",
            f"MAX_RATE {self.max_rate_kib}",
            "TABLESPACE_MAP",
            "MANIFEST 'yes'",
            f"MANIFEST_CHECKSUMS '{MANIFEST_CHECKSUMS}'",
        ]
        return f"BASE_BACKUP ({', '.join(options)})"

    def _ancient(self) -> str:
        words = ["BASE_BACKUP", f"LABEL {quoted(self.label)}", "PROGRESS"]
        words += ["FAST"] if self.fast_checkpoint else []
        words += ["WAL"] if self.include_wal else []
        words += [] if self.wait_for_archive else ["NOWAIT"]
        words += [f"MAX_RATE {self.max_rate_kib}", "TABLESPACE_MAP", "MANIFEST 'yes'"]
        return " ".join([*words, f"MANIFEST_CHECKSUMS '{MANIFEST_CHECKSUMS}'"])


def quoted(text: str) -> str:
    """Return an SQL string; quotes doubled, backslashes as they are.

    >>> quoted("Bob's")
    "'Bob''s'"
    """
    return "'" + text.replace("'", "''") + "'"
