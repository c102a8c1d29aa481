"""Encrypts a stream in chunks, so that cutting, swapping or joining it is noticed while reading.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) as age uses it: each chunk has
its number and a last-chunk mark in its nonce. A key of its own for every archive is derived from
the master key, a random salt, and the backup's id and the archive's name: an archive put in
another's place does not open, and a nonce can never meet the same key twice.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.errors import UserError
from backup.fields import Malformed

KEY_VARIABLE = "KNOCKON_BACKUP_KEY"
KEY_BYTES = 32
CHUNK_BYTES = 64 << 10
TAG_BYTES = 16
_MAGIC = b"knockon-seal\x01"
_SALT_BYTES = 32
HEADER_BYTES = len(_MAGIC) + _SALT_BYTES
_MAKE_ONE = "make one with `openssl rand -hex 32`, and keep a copy outside this cluster"


class Key:
    """The master key; never printed."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise UserError(f"the key has {len(secret)} bytes, not {KEY_BYTES}", _MAKE_ONE)
        self._secret = secret

    def __repr__(self) -> str:
        return f"Key({self.id})"

    @property
    def id(self) -> str:
        """A name that tells keys apart and says nothing about them."""
        return self._mac(b"knockon/key-id", b"")[:8].hex()

    def sign(self, body: bytes) -> str:
        """Sign the published manifest."""
        return self._mac(b"knockon/manifest", body).hex()

    def check(self, body: bytes, signature: str) -> None:
        """Raise Malformed where this key did not sign that."""
        if not hmac.compare_digest(self.sign(body).encode(), signature.encode("utf-8", "replace")):
            raise Malformed("its signature is missing or was not made with this key")

    def _mac(self, purpose: bytes, body: bytes) -> bytes:
        return hmac.digest(self._derived(b"", purpose), body, "sha256")

    def _derived(self, salt: bytes, purpose: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt or None, purpose).derive(self._secret)

    def cipher(self, salt: bytes, context: str) -> AESGCM:
        """The cipher of one archive."""
        return AESGCM(self._derived(salt, b"knockon/stream/v1 " + context.encode()))


def load_key(path: Path | None, environ: Mapping[str, str] = os.environ) -> Key | None:
    """Read the key from a file, else from the environment; None where there is neither."""
    if path is None:
        text = environ.get(KEY_VARIABLE, "")
        return Key(_decoded(text.strip().encode())) if text.strip() else None
    try:
        data = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"key file {path}: {error.strerror}", _MAKE_ONE) from None
    if mode & stat.S_IRWXO:
        raise UserError(f"key file {path} is open to everybody", f"chmod 600 {path}")
    return Key(data if len(data) == KEY_BYTES else _decoded(data.strip()))


def _decoded(text: bytes) -> bytes:
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text.decode("ascii"))
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise UserError("the key is neither 64 hex digits nor base64", _MAKE_ONE) from None


def context_of(backup_id: str, archive: str) -> str:
    """What an archive's key is bound to."""
    return f"{backup_id}/{archive}"


class Sealer:
    """Encrypts one archive as it comes: ``feed`` pieces, then ``finish`` once."""

    __slots__ = ("_cipher", "_header", "_held", "_number")

    def __init__(self, key: Key, context: str) -> None:
        salt = secrets.token_bytes(_SALT_BYTES)
        self._cipher = key.cipher(salt, context)
        self._header = _MAGIC + salt
        self._held = bytearray()
        self._number = 0

    def feed(self, data: bytes) -> bytes:
        """Take plain bytes, give what is ready."""
        self._held += data
        ready = [self._take_header()]
        # One chunk stays back: only the end tells whether it is the last.
        full = (len(self._held) - 1) // CHUNK_BYTES
        ready += [
            self._chunk(bytes(self._held[at : at + CHUNK_BYTES]), last=False)
            for at in range(0, max(full, 0) * CHUNK_BYTES, CHUNK_BYTES)
        ]
        if full > 0:
            del self._held[: full * CHUNK_BYTES]
        return b"".join(ready)

    def finish(self) -> bytes:
        """Give the rest, marked as the end."""
        return self._take_header() + self._chunk(bytes(self._held), last=True)

    def _take_header(self) -> bytes:
        header, self._header = self._header, b""
        return header

    def _chunk(self, plain: bytes, *, last: bool) -> bytes:
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), plain, None)
        self._number += 1
        return sealed


def unsealed(pieces: Iterable[bytes], key: Key, context: str) -> Iterator[bytes]:
    """Decrypt one archive, chunk by chunk; raise Malformed at the first that is not genuine."""
    held = bytearray()
    source = iter(pieces)
    for piece in source:
        held += piece
        if len(held) >= HEADER_BYTES:
            break
    if len(held) < HEADER_BYTES or not held.startswith(_MAGIC):
        raise Malformed(f"{context}: it is cut short or was not encrypted by us")
    cipher = key.cipher(bytes(held[len(_MAGIC) : HEADER_BYTES]), context)
    del held[:HEADER_BYTES]
    number, stride = 0, CHUNK_BYTES + TAG_BYTES
    for piece in _first_then(source):
        held += piece
        while len(held) > stride:
            yield _opened(cipher, bytes(held[:stride]), _nonce(number, last=False), context)
            del held[:stride]
            number += 1
    yield _opened(cipher, bytes(held), _nonce(number, last=True), context)


def _first_then(source: Iterator[bytes]) -> Iterator[bytes]:
    """What is held already is looked at before the source is asked again."""
    yield b""
    yield from source


def _opened(cipher: AESGCM, chunk: bytes, nonce: bytes, context: str) -> bytes:
    try:
        return cipher.decrypt(nonce, chunk, None)
    except (InvalidTag, ValueError):
        raise Malformed(
            f"{context}: it does not open: another key, changed, cut short or of another backup"
        ) from None


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")
