"""Where things lie on the node: every host path hangs off one root.

In a pod the node's own paths are mounted below, say, ``/host``; in a story they lie in a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Host:
    """One node's file system, seen from ``root``."""

    root: Path = Path("/")

    @property
    def proc(self) -> Path:
        """The node's ``/proc``."""
        return self.root / "proc"

    @property
    def sys(self) -> Path:
        """The node's ``/sys``."""
        return self.root / "sys"

    @property
    def cgroup(self) -> Path:
        """The root of the control-group file systems."""
        return self.sys / "fs" / "cgroup"

    @property
    def run(self) -> Path:
        """The node's ``/run``: a tmpfs, so it neither waits for a disk nor survives a boot."""
        return self.root / "run"

    @property
    def ring(self) -> Path:
        """The recorder's ring file."""
        return self.run / "knockon" / "recorder.ring"

    @property
    def pod_logs(self) -> Path:
        """The kubelet's log folders, ``NAMESPACE_NAME_UID`` each; on a disk, not for sampling."""
        return self.root / "var" / "log" / "pods"
