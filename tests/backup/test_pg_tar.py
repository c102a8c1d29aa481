"""Tars as Postgres writes them, and anything else: read in any pieces, or refused."""

from __future__ import annotations

import contextlib
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from backup.fields import Malformed
from backup.postgres.tar import MemberKind, members
from tests.backup.forged import HONEST, File, tar


@given(st.integers(1, 2000))
def test_a_tar_is_the_same_in_any_pieces(step: int) -> None:
    data = tar(HONEST[:6])
    read = [
        (one.path, one.kind, b"".join(one.pieces))
        for one in members(data[at : at + step] for at in range(0, len(data), step))
    ]
    assert [path for path, _, _ in read] == [file.path for file in HONEST[:6]]
    assert [content for _, kind, content in read if kind is MemberKind.FILE] == [
        file.data for file in HONEST[:6] if file.kind == tarfile.REGTYPE
    ]


def test_what_nobody_reads_is_passed_over() -> None:
    assert len(list(members([tar(HONEST)]))) == len(HONEST)
    assert (
        len(list(members([b"", tar(HONEST[:3])[:2048]]))) == 2
    )  # servers before 15 end without zeros


def test_sizes_beyond_octal_are_read() -> None:
    head = bytearray(tar([File("big", b"")])[:512])
    head[124:136] = b"\x80" + (9 << 30).to_bytes(11, "big")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    assert next(members([bytes(head)])).size_bytes == 9 << 30


@given(st.binary(max_size=3000))
def test_garbage_is_no_tar(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        for member in members([data]):
            b"".join(member.pieces)


@given(st.integers(0, 511), st.integers(0, 255))
def test_a_damaged_header_is_refused_or_harmless(where: int, value: int) -> None:
    data = bytearray(tar([File("base/1/1259", b"x" * 10)]))
    data[where] = value
    with contextlib.suppress(Malformed):
        for member in members([bytes(data)]):
            assert ".." not in member.path.split("/")
            assert not member.path.startswith("/")
