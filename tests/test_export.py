"""The export reader: what was written is read, whatever else is in the stream."""

from __future__ import annotations

import io
import re
import tracemalloc
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from agent.model import BlindSpot, Record, Trust
from agent.sources.export import ExportReader, read_export
from agent.sources.export_window import CHUNK_BYTES, MAX_ENTRY_BYTES

PLAIN = {
    "__REALTIME_TIMESTAMP": "1795434346099808",
    "_BOOT_ID": "b1",
    "_TRANSPORT": "stdout",
    "_SYSTEMD_UNIT": "docker.service",
    "MESSAGE": "hello",
}


def entry(fields: dict[str, str], *, binary: bool = False) -> bytes:
    """One entry as journalctl writes it; values with a newline are always binary."""
    parts = []
    for name, value in fields.items():
        raw = value.encode("utf-8", "surrogateescape")
        if binary or b"\n" in raw:
            parts.append(name.encode() + b"\n" + len(raw).to_bytes(8, "little") + raw + b"\n")
        else:
            parts.append(name.encode() + b"=" + raw + b"\n")
    return b"".join(parts) + b"\n"


def read(raw: bytes, interesting: object = None) -> tuple[list[Record], list[BlindSpot]]:
    found = list(read_export(io.BytesIO(raw), "j", interesting))  # type: ignore[arg-type]
    records = [one for one in found if isinstance(one, Record)]
    return records, [one for one in found if isinstance(one, BlindSpot)]


def at(second: int, **more: str) -> dict[str, str]:
    return {**PLAIN, "__REALTIME_TIMESTAMP": f"{second}000000", **more}


def test_a_plain_entry_becomes_a_trusted_record() -> None:
    (record,), blind = read(entry(PLAIN))
    assert record.message == "hello"
    assert record.at_s == 1795434346.099808
    assert (record.boot, record.source, record.trust) == ("b1", "journal", Trust.TRUSTED)
    assert record.fields["_SYSTEMD_UNIT"] == "docker.service"
    assert not blind


def test_kernel_entries_are_of_the_kernel_and_stay_as_they_are() -> None:
    (record,), _ = read(entry(at(5, _TRANSPORT="kernel", MESSAGE='{"msg":"x"}')))
    assert record.source == "kernel"
    assert record.message == '{"msg":"x"}'


def test_an_entry_hidden_in_a_message_is_never_an_entry() -> None:
    forged = entry(at(7, _TRANSPORT="kernel", MESSAGE="Out of memory")).decode()
    raw = entry(at(1)) + entry(at(2, MESSAGE=f"innocent\n\n{forged}")) + entry(at(3))
    for test in (None, re.compile(rb"_TRANSPORT=kernel\n"), lambda e: b"memory" in e):
        records, _ = read(raw, test)
        assert all(record.source == "journal" for record in records)
    records, blind = read(raw)
    assert [record.at_s for record in records] == [1, 2, 3]
    assert not blind


def test_the_first_of_a_repeated_field_counts() -> None:
    raw = entry(PLAIN)[:-1] + b"MESSAGE=second\nUNIT=a\nUNIT=b\n\n"
    (record,), _ = read(raw)
    assert record.message == "hello"
    assert record.fields["UNIT"] == "a"


def test_envelopes_are_taken_off_and_the_raw_line_kept() -> None:
    raw = 'time="2026-11-23T11:45:52Z" level=info msg="Container failed" container=56'
    (record,), _ = read(entry(at(1, MESSAGE=raw)))
    assert record.message == 'Container failed container="56"'
    assert record.fields["RAW"] == raw
    assert record.fields["LEVEL"] == "info"


def test_a_huge_message_is_cut_and_its_neighbours_are_read() -> None:
    text = "x" * (10 << 20)
    raw = (
        entry(at(1)) + entry(at(2, MESSAGE=text)) + entry(at(3, MESSAGE=f"{text}\n")) + entry(at(4))
    )
    records, blind = read(raw)
    assert [record.at_s for record in records] == [1, 2, 3, 4]
    assert {len(record.message) for record in records} == {5, 65536}
    assert not blind


def test_an_endless_line_is_passed_over_with_a_blind_spot() -> None:
    endless = b"__CURSOR=x\nMESSAGE=" + b"y" * (MAX_ENTRY_BYTES + CHUNK_BYTES) + b"\n\n"
    cursor = {"__CURSOR": "c", **at(2)}
    records, blind = read(entry(at(1)) + endless + entry(cursor))
    assert [record.at_s for record in records] == [1, 2]
    assert "too long" in blind[0].why


def test_a_torn_length_costs_one_entry_only() -> None:
    torn = b"__CURSOR=c\nMESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffabc\n\n"
    records, blind = read(torn + entry({"__CURSOR": "c", **at(2)}))
    assert records[-1].at_s == 2
    assert "impossible length" in blind[0].why
    assert "(j@0)" in blind[0].why


def test_an_entry_cut_short_gives_what_is_there() -> None:
    records, blind = read(entry(at(1)) + b"__REALTIME_TIMESTAMP=2000000\nMESSAGE=hal")
    assert records[-1].message == "hal"
    assert "cut short" in blind[0].why


def test_an_entry_without_a_time_is_kept_and_said() -> None:
    (record,), blind = read(b"MESSAGE=hi\nPRIORITY=3\n\n")
    assert (record.message, record.at_s) == ("hi", None)
    assert "without a time" in blind[0].why


def test_a_clock_that_goes_back_is_a_blind_spot() -> None:
    records, blind = read(entry(at(100)) + entry(at(40)) + entry(at(41)))
    assert len(records) == 3
    assert (blind[0].from_s, blind[0].to_s) == (40, 100)


def test_another_boot_may_be_earlier() -> None:
    _, blind = read(entry(at(100)) + entry(at(40, _BOOT_ID="b2")))
    assert not blind


def test_nul_and_bad_utf8_do_not_stop_anything() -> None:
    raw = entry(PLAIN).replace(b"hello", b"a\x00b\xff\xfe")
    (record,), _ = read(raw)
    assert record.message == "a\x00b\ufffd\ufffd"


def test_garbage_is_counted_not_listed_without_end() -> None:
    raw = b"".join(b"lower case %d\n\n" % number for number in range(5000))
    records, blind = read(raw)
    assert not records
    assert len(blind) == 21
    assert "4980 more" in blind[-1].why


def test_only_interesting_entries_are_decoded_and_the_span_is_still_known() -> None:
    raw = b"".join(entry(at(n, MESSAGE=f"number {n}")) for n in range(1, 5000))
    for test in (
        re.compile(rb"number 4321\n"),
        re.compile(b"number 4321$", re.MULTILINE),
        _is_4321,
    ):
        reader = ExportReader(io.BytesIO(raw), "j", test)
        (record,) = list(reader)
        assert isinstance(record, Record)
        assert record.message == "number 4321"
        assert (reader.watch.first_s, reader.watch.last_s) == (1, 4999)


def _is_4321(raw: bytes) -> bool:
    return b"MESSAGE=number 4321" in raw


def test_a_pattern_at_the_edges_finds_its_own_entry() -> None:
    raw = entry({"_PID": "1", "MESSAGE": "a"}) + entry({"_PID": "2", "MESSAGE": "b"})
    for pattern, expected in (
        (rb"\n_PID=2", ["b"]),
        (rb"MESSAGE=a\n", ["a"]),
        (rb"_PID", ["a", "b"]),
    ):
        records, _ = read(raw, re.compile(pattern))
        assert [record.message for record in records] == expected


def test_where_points_at_the_byte() -> None:
    first = entry(at(1))
    records, _ = read(first + entry(at(2, MESSAGE="a\nb")) + entry(at(3)))
    assert records[1].where == f"j@{len(first)}"
    assert records[2].where == f"j@{len(first) + len(entry(at(2, MESSAGE='a' + chr(10) + 'b')))}"


# -- properties ------------------------------------------------------------------------------------

values = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
entries = st.lists(
    st.fixed_dictionaries(
        {"__REALTIME_TIMESTAMP": st.integers(1, 10**16).map(str), "MESSAGE": values},
        optional={"UNIT": values, "_PID": values, "IGNORED": values, "_SYSTEMD_UNIT": values},
    ),
    max_size=12,
)


class Dribble(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a slow pipe does."""

    def __init__(self, raw: bytes, size: int) -> None:
        super().__init__()
        self._stream = io.BytesIO(raw)
        self._size = size

    def read(self, size: int = -1, /) -> bytes:
        return self._stream.read(self._size if size < 0 else min(size, self._size))


@given(entries, st.booleans(), st.integers(1, 500))
def test_what_was_written_is_read(written: list[dict[str, str]], binary: bool, step: int) -> None:
    raw = b"".join(entry(fields, binary=binary) for fields in written)
    found = [r for r in read_export(Dribble(raw, step), "j") if isinstance(r, Record)]
    assert len(found) == len(written)
    for record, fields in zip(found, written, strict=True):
        assert record.at_s == int(fields["__REALTIME_TIMESTAMP"]) / 1e6
        assert record.fields.get("RAW", record.message) == fields["MESSAGE"]
        for name in ("UNIT", "_PID", "_SYSTEMD_UNIT"):
            assert record.fields.get(name) == fields.get(name)
        assert "IGNORED" not in record.fields


@given(entries, st.data())
def test_torn_and_damaged_streams_never_raise(
    written: list[dict[str, str]], data: st.DataObject
) -> None:
    raw = b"".join(entry(fields) for fields in written)
    cut = data.draw(st.integers(0, len(raw)))
    junk = data.draw(st.binary(max_size=40))
    step = data.draw(st.integers(1, 300))
    list(read_export(Dribble(raw[:cut] + junk + raw[cut:], step), "j"))
    list(read_export(Dribble(raw[:cut], step), "j"))


@given(st.binary(max_size=2000), st.integers(1, 100))
def test_noise_never_raises(raw: bytes, step: int) -> None:
    list(read_export(Dribble(raw, step), "j"))
    list(read_export(io.BytesIO(raw), "j", re.compile(rb"=")))


class Repeated(io.RawIOBase):
    """The same entries again and again, without ever holding them all."""

    def __init__(self, block: bytes, total_bytes: int) -> None:
        super().__init__()
        self._blocks = self._chunks(block, total_bytes)

    @staticmethod
    def _chunks(block: bytes, total_bytes: int) -> Iterator[bytes]:
        for _ in range(total_bytes // len(block)):
            yield block

    def read(self, size: int = -1, /) -> bytes:  # noqa: ARG002 - blocks have one size
        return next(self._blocks, b"")


def test_memory_stays_flat_however_long_the_stream() -> None:
    one = entry(at(1, MESSAGE="m" * 500, _CMDLINE="c" * 200))
    block = one * (CHUNK_BYTES // len(one)) + entry(at(1, MESSAGE="a\nb"))
    stream = Repeated(block, 200 << 20)
    tracemalloc.start()
    try:
        found = list(read_export(stream, "j", re.compile(rb"never there")))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not found
    assert peak_bytes < 12 * CHUNK_BYTES
