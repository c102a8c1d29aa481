"""Compression: exact bytes back in bounded pieces, and no quiet end where the input was cut."""

from __future__ import annotations

import os
import subprocess
from shutil import which

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from backup.fields import Malformed
from backup.store.squeeze import READ_BYTES, Squeezer, unsqueezed


def squeezed(plain: bytes, step: int = 9999) -> bytes:
    squeezer = Squeezer()
    pieces = [squeezer.feed(plain[at : at + step]) for at in range(0, len(plain), step)]
    return b"".join(pieces) + squeezer.finish()


def back(data: bytes, expected: int, step: int = 4096) -> bytes:
    return b"".join(
        unsqueezed((data[at : at + step] for at in range(0, len(data), step)), expected)
    )


@given(st.binary(max_size=2000), st.integers(1, 300), st.integers(1, 300))
def test_it_comes_back(plain: bytes, write: int, read: int) -> None:
    assert back(squeezed(plain, write), len(plain), read) == plain


def test_every_cut_is_noticed() -> None:
    plain = os.urandom(50_000) + bytes(500_000)
    data = squeezed(plain)
    for end in (0, 1, 10, len(data) // 2, len(data) - 5):
        with pytest.raises(Malformed):
            back(data[:end], len(plain))


def test_damage_is_noticed() -> None:
    plain = os.urandom(200_000)
    data = bytearray(squeezed(plain))
    data[100_000] ^= 1
    with pytest.raises(Malformed, match="does not decompress"):
        back(bytes(data), len(plain))


def test_a_bomb_stops_at_what_was_promised() -> None:
    bomb = squeezed(bytes(50 << 20))
    assert len(bomb) < 10_000
    sizes: list[int] = []
    with pytest.raises(Malformed, match="more than"):
        sizes.extend(len(piece) for piece in unsqueezed([bomb], 1 << 20))
    assert max(sizes) <= READ_BYTES
    assert sum(sizes) <= 1 << 20


def test_a_window_that_would_eat_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = frame.compress(bytes(1 << 20)) + frame.flush()
    with pytest.raises(Malformed, match="does not decompress"):
        back(data, 1 << 20)


@pytest.mark.skipif(which("zstd") is None, reason="needs the zstd program")
def test_the_zstd_program_reads_it() -> None:
    plain = os.urandom(1000) * 50
    done = subprocess.run(["zstd", "-dc"], input=squeezed(plain), capture_output=True, check=True)
    assert done.stdout == plain
