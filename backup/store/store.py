"""One object store: S3, GCS, Azure, a directory or memory, behind the same few verbs.

Every retry is ours, with jitter, and counted: the library's own are switched off.
"""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import GCSStore, LocalStore

from agent.errors import UserError
from backup.store.errors import Missing, StoreFailed, Taken, complaint, is_transient
from backup.store.places import opened

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode, PutResult, UpdateVersion
    from obstore.store import ObjectStore

SMALL_BYTES = 64 << 20  # manifests and locks are held in memory whole; archives never
STREAM_BYTES = 1 << 20
_DELETED_AT_ONCE = 1000  # S3 takes no more in one request
_GUARD = "lock.guard"  # what flock holds on to; a directory has no conditional update
_ERRORS = (BaseError, OSError, NotImplementedError)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and how long apart, a request is made again."""

    attempts: int = 12
    first_s: float = 0.25
    longest_s: float = 20.0

    def wait_s(self, failures: int, jitter: float) -> float:
        """Full jitter: anywhere between nothing and a bound that doubles."""
        return jitter * min(self.longest_s, self.first_s * float(1 << min(failures - 1, 30)))


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing says of one object."""

    key: str
    size_bytes: int
    modified_s: float  # by the store's clock
    etag: str = ""
    version: str = ""  # what a condition names: Google's generation, elsewhere the ETag


class Store:
    """The folder of one object store below which all keys are."""

    def __init__(
        self,
        inner: ObjectStore,
        where: str,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.where = where
        self._inner = inner
        self._patience = patience or Patience()
        self._sleep = sleep
        self._counting = threading.Lock()
        self._retries = 0

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Store:
        """Open what ``--to`` names; settings of the cloud come from its usual variables."""
        return cls(opened(url, create=create), url)

    @property
    def retries(self) -> int:
        """How many requests had to be made again."""
        with self._counting:
            return self._retries

    def check(self) -> None:
        """Prove early that the place exists and lets us in; else it is the user's to mend."""
        try:
            self._try(lambda: obstore.list_with_delimiter(self._inner))
        except StoreFailed as error:
            if error.refused:
                raise UserError(error.message, error.hint) from None
            raise

    def put(self, key: str, data: bytes) -> str:
        """Write an object, whatever was there; return its version."""
        version = self._put(key, data, "overwrite")
        self._settle(key)
        return version

    def put_new(self, key: str, data: bytes) -> str:
        """Write an object that must not exist yet, or raise Taken; return its version."""
        before = self.retries
        try:
            version = self._put(key, data, "create")
        except Taken:
            version = self._ours_after_all(key, data, before)
        self._settle(key)
        return version

    def replace(self, key: str, data: bytes, version: str) -> str:
        """Write an object if it is still the one we read, or raise Taken; return its version."""
        if isinstance(self._inner, LocalStore):
            with self._guarded():
                self._same(key, version)
                return self.put(key, data)
        before = self.retries
        google = isinstance(self._inner, GCSStore)
        seen: UpdateVersion = {"version": version} if google else {"e_tag": version}
        try:
            return self._put(key, data, seen)
        except Taken:
            return self._ours_after_all(key, data, before)

    def remove_if(self, key: str, version: str) -> None:
        """Delete an object if it is still the one we read, or raise Taken.

        No store deletes on condition; only the short time between the two requests is left open,
        and only to somebody who found the object expired.
        """
        with self._guarded():
            self._same(key, version)
            self.delete((key,))

    def read(self, key: str, limit_bytes: int = SMALL_BYTES) -> bytes:
        """Read a small object whole, or raise Missing."""
        size_bytes = self.head(key).size_bytes
        if size_bytes > limit_bytes:
            raise StoreFailed(f"{self.where}: {key} has {size_bytes} bytes", "that is not ours")
        return self._try(lambda: bytes(obstore.get(self._inner, key).bytes()))

    def read_stream(self, key: str) -> Iterator[bytes]:
        """Read an object piece by piece; a cut connection goes on where it was cut."""
        seen = self.head(key)
        offset, failures = 0, 0
        while offset < seen.size_bytes:
            try:
                got = obstore.get(
                    self._inner, key, options={"range": {"offset": offset}, "if_match": seen.etag}
                )
                for piece in got.stream(min_chunk_size=STREAM_BYTES):
                    offset += len(piece)
                    failures = 0
                    yield bytes(piece)
                if offset < seen.size_bytes:
                    raise StoreFailed(f"{self.where}: {key} ends early", "is it being replaced?")
            except _ERRORS as error:
                failures += 1
                self._again(error, failures)

    def head(self, key: str) -> ObjectInfo:
        """Size, time and version of one object, or raise Missing."""
        meta = self._try(lambda: obstore.head(self._inner, key))
        return self._info(meta)

    def list(self, prefix: str = "") -> tuple[ObjectInfo, ...]:
        """Everything below a folder, sorted; nothing where there is no such folder."""
        found = self._try(lambda: obstore.list(self._inner, prefix or None).collect())
        infos = [self._info(one) for one in found if one["path"] != _GUARD]
        return tuple(sorted(infos, key=lambda info: info.key))

    def folders(self) -> tuple[str, ...]:
        """The names of the folders right below ours, sorted."""
        found = self._try(lambda: obstore.list_with_delimiter(self._inner))
        return tuple(sorted(one.rstrip("/") for one in found["common_prefixes"]))

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are gone already do not matter."""
        folder = self._folder()
        step = _DELETED_AT_ONCE if folder is None else 1
        for at in range(0, len(keys), step):
            try:
                self._delete(keys[at : at + step])
            except Missing:
                continue
        if folder is not None:
            _remove_empty(folder, keys)

    def now_s(self, probe_key: str) -> float:
        """The store's own clock, by writing a small object and looking at its time."""
        self.put(probe_key, b"clock\n")
        at_s = self.head(probe_key).modified_s
        self.delete((probe_key,))
        return at_s

    def _try(self, request: Callable[[], Answer]) -> Answer:
        failures = 0
        while True:
            try:
                return request()
            except (AlreadyExistsError, PreconditionError) as error:
                raise Taken(str(error).partition("\n")[0]) from None
            except _ERRORS as error:
                failures += 1
                self._again(error, failures)

    def _again(self, error: Exception, failures: int) -> None:
        """Wait before the next try, or raise what the error means."""
        told = complaint(error, self.where)
        if isinstance(error, FileNotFoundError) and "no such bucket" not in told.message:
            raise Missing(str(error).partition("\n")[0]) from None
        if not is_transient(error) or failures >= self._patience.attempts:
            raise told from error
        with self._counting:
            self._retries += 1
        self._sleep(self._patience.wait_s(failures, random.random()))

    def _put(self, key: str, data: bytes, mode: PutMode) -> str:
        done = self._try(
            lambda: obstore.put(self._inner, key, data, mode=mode, use_multipart=False)
        )
        return self._version(done)

    def _info(self, meta: ObjectMeta) -> ObjectInfo:
        return ObjectInfo(
            meta["path"],
            meta["size"],
            meta["last_modified"].timestamp(),
            meta["e_tag"] or "",
            self._version(meta),
        )

    def _version(self, told: ObjectMeta | PutResult) -> str:
        return told["version" if isinstance(self._inner, GCSStore) else "e_tag"] or ""

    def _delete(self, keys: Sequence[str]) -> None:
        self._try(lambda: obstore.delete(self._inner, [*keys]))

    def _same(self, key: str, version: str) -> None:
        try:
            if self.head(key).version == version:
                return
        except Missing:
            pass
        raise Taken(key)

    def _ours_after_all(self, key: str, data: bytes, before: int) -> str:
        """An answer that got lost: the try before the one refused may have been done."""
        seen = self.head(key) if self.retries > before else None
        if seen is None or self.read(key) != data:
            raise Taken(f"{key} exists")
        return seen.version

    def _folder(self) -> Path | None:
        prefix = self._inner.prefix if isinstance(self._inner, LocalStore) else None
        return None if prefix is None else Path(prefix)

    def _settle(self, key: str) -> None:
        """Make a file survive a power cut: the library renames, but does not fsync."""
        folder = self._folder()
        if folder is None:
            return
        for path in (folder / key, (folder / key).parent, folder):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Keep other processes out of a directory between looking and writing; crash-safe."""
        folder = self._folder()
        if folder is None:
            yield
            return
        with (folder / _GUARD).open("a") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield


def _remove_empty(folder: Path, keys: Iterable[str]) -> None:
    """Remove folders that became empty; an object store has none."""
    parents = {parent for key in keys for parent in Path(key).parents if parent.name}
    for parent in sorted(parents, key=lambda one: -len(one.parts)):
        try:
            (folder / parent).rmdir()
        except OSError:
            continue  # not empty, or gone
