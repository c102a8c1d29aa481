"""Writes a data directory beside its place and moves it there whole: half a restore is never seen.

No link exists in the tree while it is written, and every file is created anew, so a name in an
archive cannot lead anywhere else.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError
from backup.exits import Exit, Failure

MARK = ".knockon-restore"  # says that a left-over folder is ours to remove
_LAST_MOVED = "global"  # holds pg_control, without which no server starts


@dataclass(frozen=True, slots=True)
class Landing:
    """One directory to be filled: where it will be, and where it is written meanwhile."""

    target: Path
    staging: Path

    @classmethod
    def prepare(cls, target: Path) -> Landing:
        """Refuse a target that holds anything; clear what an earlier try of ours left."""
        target = Path(os.path.abspath(target))  # noqa: PTH100 - not resolve(): a link may be meant
        try:
            mounted = target.is_dir() and os.path.ismount(target)
            staging = target / f"{MARK}.partial" if mounted else Path(f"{target}.partial")
            _refuse_if_full(target, staging)
            _clear(staging)
            staging.mkdir(parents=True, mode=0o700)
            (staging / MARK).touch(mode=0o600)
        except OSError as error:
            raise _failed(error, target) from None
        return cls(target, staging)

    def folder(self, path: str) -> None:
        """Create a folder, and those above it."""
        try:
            self._make(self.staging / path)
        except OSError as error:
            raise _failed(error, self.target) from None

    def file(self, path: str, pieces: Iterator[bytes]) -> None:
        """Create a file; it must not exist."""
        whole = self.staging / path
        try:
            self._make(whole.parent)
            with os.fdopen(_create(whole), "wb", buffering=0) as file:
                for piece in pieces:
                    _write_all(file.fileno(), piece)
        except OSError as error:
            raise _failed(error, self.target) from None

    def give_to(self, uid: int, gid: int) -> None:
        """Change the owner of everything written, links themselves included."""
        for folder, folders, names in os.walk(self.staging):
            for name in (".", *folders, *names):
                os.chown(Path(folder, name), uid, gid, follow_symlinks=False)

    def land(self) -> None:
        """Move what was written to where it belongs; safe to repeat after a crash."""
        try:
            if self.staging.parent == self.target:
                self._move_up()
            else:
                self.staging.replace(self.target)
                (self.target / MARK).unlink(missing_ok=True)
            for path in (self.target, self.target.parent):
                _sync(path)
        except OSError as error:
            raise _failed(error, self.target) from None

    def discard(self) -> None:
        """Remove everything that was written."""
        shutil.rmtree(self.staging, ignore_errors=True)

    def _make(self, folder: Path) -> None:
        """Create a folder for its owner alone: mkdir's ``parents`` would use the umask."""
        if folder != self.staging and not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)

    def _move_up(self) -> None:
        names = [name for name in sorted(os.listdir(self.staging)) if name != MARK]  # noqa: PTH208
        names.sort(key=lambda name: name == _LAST_MOVED)
        for name in names:
            (self.staging / name).rename(self.target / name)
        shutil.rmtree(self.staging)
        self.target.chmod(0o700)


def _refuse_if_full(target: Path, staging: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UserError(f"{target} is not a directory", "give a new or an empty one")
    if not target.is_dir():
        return
    strange = {one.name for one in target.iterdir()} - {"lost+found", staging.name}
    if strange:
        raise UserError(
            f"{target} is not empty: it holds {min(strange)}",
            "we never overwrite: give a new directory, or empty this one yourself",
        )


def _clear(staging: Path) -> None:
    if not staging.exists() and not staging.is_symlink():
        return
    if staging.is_symlink() or not (staging / MARK).is_file():
        raise UserError(f"{staging} is in the way and is not ours", "move it aside")
    shutil.rmtree(staging)


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def _write_all(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(folder: Path) -> None:
    """Make the move survive a power cut; files are synced by Postgres at its first start.

    StartupXLOG calls SyncDataDirectory where pg_control says the server was running, and in a
    base backup it always says so.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(error: OSError, target: Path) -> Failure:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(f"no space left for {target}", "nothing was kept; use a larger volume")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Failure(
            f"{error.filename or target}: {error.strerror}",
            "run as the user who will run Postgres",
            Exit.USER_ERROR,
        )
    return Failure(f"{error.filename or target}: {error.strerror}", "nothing was kept")
