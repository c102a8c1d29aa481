"""Bundles that are torn, hostile or none at all."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import UserError
from agent.sources.bundle import open_bundle
from agent.sources.bundle_files import files_of
from tests.bundle_parts import JOURNAL, PARTS, archive, blind, folder, records, tarred


def test_torn_files_give_what_they_hold(tmp_path: Path) -> None:
    big = JOURNAL + b"".join(JOURNAL.replace(b"first", b"%d" % n) for n in range(500))
    parts = {
        "journal.export.gz": gzip.compress(big)[:-40],
        "pods.json.gz": gzip.compress(PARTS["pods.json"])[:-12],
    }
    bundle = open_bundle(folder(tmp_path / "b", parts))
    assert records(bundle)[0].message == "first"
    said = blind(bundle)
    assert "journal.export is cut short" in said
    assert "pods.json is cut short" in said


def test_an_empty_journal_beside_events_is_a_blind_spot(tmp_path: Path) -> None:
    bundle = open_bundle(folder(tmp_path / "b", {**PARTS, "journal.export": b""}))
    assert "journal.export is empty" in blind(bundle)
    assert "journal of the node" in bundle.missing


@pytest.mark.parametrize(
    ("parts", "part_of_message"),
    [
        ({}, "is empty"),
        ({"journal.export": b""}, "nothing is in"),
        ({"photo.jpg": bytes(range(256)) * 20}, "neither a log nor a bundle"),
        ({"system.journal": b"LPKSHHRH" + bytes(200)}, "systemd's own format"),
        ({"README.md": b"# hello\n", "main.py": b"print()\n"}, "neither a journal nor events"),
        ({**PARTS, "meta.json": b'{"schema": "knockon-bundle/v9"}'}, "unknown schema"),
        ({**PARTS, "meta.json": b"{torn"}, "not JSON"),
        ({**PARTS, "meta.json": b"[1]"}, "no object"),
        ({"journal.export": b"__CURSOR=\n\n"}, "holds no entries"),
    ],
)
def test_mistakes_are_told_in_one_line_with_a_hint(
    tmp_path: Path, parts: dict[str, bytes], part_of_message: str
) -> None:
    with pytest.raises(UserError) as caught:
        open_bundle(folder(tmp_path / "b", parts))
    assert part_of_message in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_bundle(tmp_path / "no")


def test_links_and_devices_in_an_archive_are_passed_over(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, kind, target in (
            ("journal.export", tarfile.SYMTYPE, "/etc/passwd"),
            ("pods.json", tarfile.LNKTYPE, "../../secret"),
            ("events.json", tarfile.CHRTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        info = tarfile.TarInfo("../../etc/journal.export")
        info.size = len(JOURNAL)
        tar.addfile(info, io.BytesIO(JOURNAL))
    path = tmp_path / "b.tar"
    path.write_bytes(made.getvalue())
    assert [member.name for member in files_of(path).members] == ["journal.export"]
    assert len(records(open_bundle(path))) == 2
    assert [one.name for one in tmp_path.iterdir()] == ["b.tar"]


def test_links_in_a_directory_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(JOURNAL)
    path = folder(tmp_path / "b", {"events.json": PARTS["events.json"]})
    (path / "journal.export").symlink_to(secret)
    assert len(records(open_bundle(path))) == 1


def test_an_archive_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sources.bundle_files.MAX_ARCHIVE_BYTES", 1 << 20)
    bomb = archive({"journal.export": bytes(4 << 20)}, "w:gz")
    path = tmp_path / "b.tgz"
    path.write_bytes(bomb)
    with pytest.raises(UserError, match="unpacks to more"):
        open_bundle(path)


def test_a_torn_archive_gives_its_whole_members(tmp_path: Path) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(archive({"journal.export": JOURNAL, "pods.json": PARTS["pods.json"]})[:1700])
    assert len(records(open_bundle(path))) == 2


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(PARTS)), st.integers(0, 400), st.binary(max_size=60))
def test_damage_anywhere_is_a_user_error_or_a_bundle(
    tmp_path: Path, name: str, cut: int, junk: bytes
) -> None:
    raw = PARTS[name]
    parts = {**PARTS, name: raw[:cut] + junk + raw[cut + len(junk) :]}
    for path in (folder(tmp_path / "b", parts), tarred(tmp_path / "b.tar", parts)):
        _open_anything(path)
    packed = archive(PARTS, "w:gz")
    (tmp_path / "t.tgz").write_bytes(packed[:cut] + junk + packed[cut + len(junk) :])
    _open_anything(tmp_path / "t.tgz")


def _open_anything(path: Path) -> None:
    try:
        bundle = open_bundle(path)
    except UserError as error:
        if not error.hint:
            raise
    else:
        list(bundle.records())
        assert len(bundle.window) == 2
        bundle.close()
