"""Encryption: what is read back is what was written, whole and in its place, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UserError
from backup.fields import Malformed
from backup.store.seal import (
    CHUNK_BYTES,
    HEADER_BYTES,
    KEY_VARIABLE,
    TAG_BYTES,
    Key,
    Sealer,
    load_key,
    unsealed,
)

KEY = Key(bytes(range(32)))
HERE = "20261123T114416Z-0a1b2c3d/base.tar"


def sealed(plain: bytes, step: int = 7777, context: str = HERE) -> bytes:
    sealer = Sealer(KEY, context)
    pieces = [sealer.feed(plain[at : at + step]) for at in range(0, len(plain), step)]
    return b"".join(pieces) + sealer.finish()


def opened(data: bytes, step: int = 5001, context: str = HERE, key: Key = KEY) -> bytes:
    return b"".join(
        unsealed((data[at : at + step] for at in range(0, len(data), step)), key, context)
    )


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]
)
@pytest.mark.parametrize("step", [1000, CHUNK_BYTES, 10 * CHUNK_BYTES])
def test_every_size_comes_back(size: int, step: int) -> None:
    plain = bytes(n % 251 for n in range(size))
    assert opened(sealed(plain, step), step) == plain


@given(st.binary(max_size=400), st.integers(1, 50), st.integers(1, 50))
def test_pieces_do_not_matter(plain: bytes, write: int, read: int) -> None:
    assert opened(sealed(plain, write), read) == plain


def test_every_cut_is_noticed() -> None:
    data = sealed(b"x" * (2 * CHUNK_BYTES + 10))
    chunk = CHUNK_BYTES + TAG_BYTES
    for end in (0, 5, HEADER_BYTES, HEADER_BYTES + 1, HEADER_BYTES + chunk, len(data) - 1):
        with pytest.raises(Malformed):
            opened(data[:end])


def test_swapping_chunks_is_noticed() -> None:
    data = sealed(b"a" * CHUNK_BYTES + b"b" * CHUNK_BYTES + b"c")
    chunk = CHUNK_BYTES + TAG_BYTES
    head, first, second, rest = (
        data[:HEADER_BYTES],
        data[HEADER_BYTES : HEADER_BYTES + chunk],
        data[HEADER_BYTES + chunk : HEADER_BYTES + 2 * chunk],
        data[HEADER_BYTES + 2 * chunk :],
    )
    for forged in (head + second + first + rest, head + first + rest, head + first + first + rest):
        with pytest.raises(Malformed, match="does not open"):
            opened(forged)


@given(st.integers(0, 10_000))
def test_every_flipped_bit_is_noticed(where: int) -> None:
    data = bytearray(sealed(b"payload" * 20))
    data[where % len(data)] ^= 1 << (where % 8)
    with pytest.raises(Malformed):
        opened(bytes(data))


def test_an_archive_of_another_backup_does_not_open() -> None:
    with pytest.raises(Malformed, match="does not open"):
        opened(sealed(b"data"), context="20250101T000000Z-00000000/base.tar")


def test_another_key_does_not_open_and_has_another_name() -> None:
    other = Key(b"\1" * 32)
    assert other.id != KEY.id
    with pytest.raises(Malformed):
        opened(sealed(b"data"), key=other)


def test_the_same_plain_text_never_looks_the_same() -> None:
    assert sealed(b"same") != sealed(b"same")


def test_a_key_never_shows_itself() -> None:
    assert repr(KEY) == f"Key({KEY.id})"


def test_keys_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(bytes(range(32)).hex() + "\n")
    file.chmod(0o600)
    found, told = load_key(file, {}), load_key(None, {KEY_VARIABLE: bytes(range(32)).hex()})
    assert found is not None
    assert told is not None
    assert found.id == told.id == KEY.id
    assert load_key(None, {}) is None


@pytest.mark.parametrize("text", ["short", "zz" * 32, "ab" * 31, "é" * 32])
def test_a_bad_key_is_the_users_to_mend(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="key") as told:
        load_key(None, {KEY_VARIABLE: text})
    assert text not in told.value.message
    file = tmp_path / "key"
    file.write_text("ab" * 32)
    file.chmod(0o644)
    with pytest.raises(UserError, match="open to everybody"):
        load_key(file, {})
    with pytest.raises(UserError, match="No such file"):
        load_key(tmp_path / "none", {})
