"""Every byte of every file is accounted for while the archive passes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.exits import Exit, Failure
from backup.postgres.manifest import parse_manifest
from backup.run.stream import Members, Passed, differences, prove
from tests.backup.fake_server import manifest_of, tar_of

FILES = {"PG_VERSION": b"15\n", "base/1/1259": b"x" * 8192, "empty": b"", "base/1/2": b"y" * 511}


def passed(files: dict[str, bytes], prefix: str = "") -> dict[str, Passed]:
    seen: dict[str, Passed] = {}
    members = Members(seen, prefix)
    members.feed(tar_of(files))
    members.finish()
    return seen


@given(
    files=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z0-9]{1,8}){0,2}", fullmatch=True),
        st.binary(max_size=2000),
        max_size=6,
    ),
    piece=st.integers(1, 1500),
)
def test_pieces_of_any_size_give_the_same(files: dict[str, bytes], piece: int) -> None:
    whole = tar_of(files)
    seen: dict[str, Passed] = {}
    members = Members(seen)
    for at in range(0, len(whole), piece):
        members.feed(whole[at : at + piece])
    members.finish()
    assert seen == {
        name: Passed(len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
    }


def test_folders_and_links_are_no_files() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE):
            info = tarfile.TarInfo("pg_tblspc/16385")
            info.type, info.linkname = kind, "/somewhere"
            tar.addfile(info)
    seen: dict[str, Passed] = {}
    members = Members(seen)
    members.feed(buffer.getvalue())
    members.finish()
    assert seen == {}


def test_a_file_of_more_than_8_gb_is_measured() -> None:
    """Its size stands there in base 256."""
    head = bytearray(tarfile.TarInfo("big").tobuf(tarfile.USTAR_FORMAT))
    head[124:136] = b"\x80" + (9 << 30).to_bytes(11, "big")
    seen: dict[str, Passed] = {}
    members = Members(seen)
    members.feed(bytes(head))
    with pytest.raises(Failure, match="cut within big"):
        members.finish()


def test_a_whole_backup_is_proved() -> None:
    prove(parse_manifest(manifest_of(FILES)), passed(FILES))


def test_a_tablespace_has_its_place_in_the_list() -> None:
    listed = {"pg_tblspc/16385/PG_15/1": b"z"}
    prove(parse_manifest(manifest_of(listed)), passed({"PG_15/1": b"z"}, "pg_tblspc/16385/"))


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (FILES | {"base/1/1259": b"x" * 8191 + b"y"}, "base/1/1259 has another checksum"),
        (FILES | {"base/1/1259": b"x" * 8191}, "base/1/1259 has 8191 bytes, not 8192"),
        ({"PG_VERSION": b"15\n"}, "base/1/1259 was not sent"),
        (FILES | {"extra": b"?"}, "extra is in no list"),
    ],
)
def test_every_difference_is_told(came: dict[str, bytes], words: str) -> None:
    manifest = parse_manifest(manifest_of(FILES))
    with pytest.raises(Failure, match=words) as raised:
        prove(manifest, passed(came))
    assert raised.value.status is Exit.NOT_VERIFIED


def test_wal_in_the_tar_is_in_no_list_and_needs_none() -> None:
    came = FILES | {"pg_wal/000000010000000000000003": b"wal"}
    assert differences(parse_manifest(manifest_of(FILES)), passed(came)) == []


@given(st.binary(min_size=512, max_size=3000))
def test_hostile_archives_are_refused_or_read(data: bytes) -> None:
    members = Members({})
    with contextlib.suppress(Failure):
        members.feed(data)
        members.finish()
