"""What a scenario needs of a node, whether it is a box or a virtual machine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Shell(Protocol):
    """A node that runs commands as root."""

    def enter(
        self, argv: Sequence[str], timeout_s: float = ...
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; its status is 125 when the node is down."""

    def sh(self, script: str, timeout_s: float = ...) -> subprocess.CompletedProcess[str]:
        """Run a shell script."""

    def check(self, script: str, timeout_s: float = ...) -> str:
        """Run a shell script that must succeed; return what it printed."""

    def read(self, path: Path) -> str:
        """Return a file by its path below the node's root; raises OSError."""

    def reboot(self) -> None:
        """Reboot in order, and wait until the node is up again."""
