"""A throw-away Postgres on a restored copy: no network, little memory, lowest priority.

Everything is said on the command line, which outranks postgresql.conf and postgresql.auto.conf:
the copy must not archive WAL, connect to a primary or load what the original loads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess  # noqa: TID251 - a restore test starts the server that it tests
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from agent.errors import UserError
from agent.printable import safe
from backup.fields import Malformed

PORT = 5432  # names the socket file in a folder of our own; nothing listens on a network
_STOP_PATIENCE_S = 60.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_QUIET: dict[str, str] = {
    "listen_addresses": "",
    "max_connections": "10",
    "superuser_reserved_connections": "3",
    "max_wal_senders": "0",
    "max_worker_processes": "8",
    "shared_buffers": "16MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "16MB",
    "huge_pages": "off",
    "max_parallel_workers": "0",
    "max_parallel_maintenance_workers": "0",
    "autovacuum": "off",
    "jit": "off",
    "fsync": "off",  # thrown away afterwards
    "full_page_writes": "off",
    "archive_mode": "off",
    "hot_standby": "off",  # else the original's max_connections would be a minimum here
    "primary_conninfo": "",
    "primary_slot_name": "",
    "recovery_target_action": "promote",
    "synchronous_standby_names": "",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "ssl": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "external_pid_file": "",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a scratch server is started with."""

    postgres: Path  # the program
    folder: Path  # of our own, mode 0700, for socket, log and empty configuration
    data: Path
    user: str = ""  # where we are root, who Postgres runs as; Postgres itself refuses root
    restore_command: str = ""
    role: str = "postgres"  # a superuser of the cluster that was backed up


class Scratch:
    """A running scratch server; leave it by ``stop``. It dies with us, too."""

    def __init__(self, process: subprocess.Popen[bytes], setting: Setting) -> None:
        self._process = process
        self._setting = setting
        self._role = setting.role

    @classmethod
    def start(cls, setting: Setting) -> Scratch:
        """Start it at the lowest CPU and I/O priority; it may still be recovering."""
        conf, hba = setting.folder / "postgresql.conf", setting.folder / "pg_hba.conf"
        conf.write_text("")
        hba.write_text("local all all trust\n")
        for path in (conf, hba):
            path.chmod(0o644)  # the folder above keeps others out
        account = pwd.getpwnam(setting.user) if setting.user else None
        with (setting.folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - no shell, our own words
                _command(setting, conf, hba),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=setting.folder,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                env={"PATH": os.environ.get("PATH", ""), "LC_MESSAGES": "C", "TZ": "UTC"},
                preexec_fn=_lowly,  # noqa: PLW1509 - this command starts no other thread before
                start_new_session=True,
            )
        return cls(process, setting)

    def until_ready(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> float:
        """Wait for the end of recovery and say how long it took; raise Malformed where it fails."""
        began_s = clock()
        while True:
            if self._process.poll() is not None:
                raise Malformed(f"Postgres does not start on it: {self._last_words()}")
            try:
                with self.connect("template1") as connection:
                    row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
                    if row == (False,):
                        return clock() - began_s
            except psycopg.OperationalError as error:
                if f'role "{self._role}" does not exist' in str(error):
                    raise UserError(
                        f"the backed-up cluster has no role {safe(self._role)}",
                        "name one of its superusers with --role",
                    ) from None
            if clock() - began_s > timeout_s:
                raise Malformed(
                    f"Postgres is not ready after {timeout_s:.0f} s: {self._last_words()}",
                    "is WAL missing, or is it much? see --timeout",
                )
            time.sleep(0.2)

    @contextlib.contextmanager
    def connect(self, database: str) -> Iterator[psycopg.Connection]:
        """Connect over the socket in our own folder."""
        with psycopg.connect(
            host=str(self._setting.folder),
            port=PORT,
            dbname=database,
            user=self._role,
            connect_timeout=10,
            autocommit=True,
        ) as connection:
            yield connection

    def stop(self) -> None:
        """Stop it, at once where it does not stop by itself."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()

    def _last_words(self) -> str:
        lines = (self._setting.folder / "log").read_text("utf-8", "replace").splitlines()
        told = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "ERROR"))]
        return safe((told or lines or ["it said nothing"])[-1], 300)


def account_for(user: str) -> str:
    """Who to run Postgres as: nobody else where we are not root."""
    if os.geteuid() != 0:
        if user:
            raise UserError("only root can run Postgres as somebody else", "leave out --as-user")
        return ""
    wanted = user or "postgres"
    try:
        pwd.getpwnam(wanted)
    except KeyError:
        raise UserError(
            f"Postgres does not run as root, and there is no user {safe(wanted)}",
            "name one with --as-user",
        ) from None
    return wanted


def may_enter(folder: Path, user: str) -> bool:
    """Ask the kernel, as this user: modes of all folders above and access lists count."""
    account = pwd.getpwnam(user)
    asked = subprocess.run(  # noqa: S603 - no shell, our own words
        ["/usr/bin/test", "-x", folder],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        check=False,
    )
    return asked.returncode == 0


def _command(setting: Setting, conf: Path, hba: Path) -> list[str]:
    settings = _QUIET | {
        "config_file": str(conf),
        "hba_file": str(hba),
        "ident_file": str(hba),
        "unix_socket_directories": str(setting.folder),
        "port": str(PORT),
        "restore_command": setting.restore_command,
    }
    words = [str(setting.postgres), "-D", str(setting.data)]
    for name, value in settings.items():
        words += ["-c", f"{name}={value}"]
    return words


def _lowly() -> None:
    """In the child: last in line for CPU and disk, and stopped when its parent is gone."""
    process = psutil.Process()
    process.nice(19)
    with contextlib.suppress(OSError, psutil.Error):
        process.ionice(psutil.IOPRIO_CLASS_IDLE)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
