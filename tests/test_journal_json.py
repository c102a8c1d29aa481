"""The JSON reader: every variant journalctl prints, and whatever else."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from agent.model import BlindSpot, Record
from agent.sources.journal_json import JsonReader, read_json

ENTRY: dict[str, object] = {
    "__REALTIME_TIMESTAMP": "5000000",
    "_BOOT_ID": "b1",
    "_TRANSPORT": "kernel",
    "MESSAGE": "hello",
}


def read(raw: bytes) -> tuple[list[Record], list[BlindSpot]]:
    found = list(read_json(io.BytesIO(raw), "j"))
    records = [one for one in found if isinstance(one, Record)]
    return records, [one for one in found if isinstance(one, BlindSpot)]


def line(**more: object) -> bytes:
    return json.dumps({**ENTRY, **more}).encode() + b"\n"


def test_a_line_becomes_a_record() -> None:
    (record,), blind = read(line())
    assert (record.message, record.at_s, record.boot, record.source) == ("hello", 5, "b1", "kernel")
    assert record.where == "j:1"
    assert not blind


def test_values_may_be_lists_bytes_numbers_or_null() -> None:
    (record,), _ = read(
        line(MESSAGE=[104, 105, 255], UNIT=["a", "b"], _PID=7, JOB_TYPE=None, N_RESTARTS=[[1]])
    )
    assert record.message == "hi\ufffd"
    assert record.fields["UNIT"] == "a"
    assert record.fields["_PID"] == "7"
    assert "JOB_TYPE" not in record.fields


def test_a_message_left_out_is_said() -> None:
    (record,), blind = read(line(MESSAGE=None))
    assert record.message == ""
    assert "--all" in blind[0].why


def test_pretty_sequence_array_and_server_sent_events() -> None:
    pretty = json.dumps(ENTRY, indent=4).encode() + b"\n"
    assert len(read(pretty + pretty)[0]) == 2
    assert len(read(b"\x1e" + line() + b"\x1e" + line())[0]) == 2
    assert len(read(b"[" + line().strip() + b",\n" + line().strip() + b"]\n")[0]) == 2
    assert len(read(b"data: " + line() + b"\n" + b"data: " + line())[0]) == 2


def test_torn_lines_and_junk_are_blind_spots_with_their_line() -> None:
    records, blind = read(line() + b'{"MESSAGE": "to\n' + b"[1,2]\n" + line())
    assert len(records) == 2
    assert [one.why for one in blind] == [
        "not a journal entry (j@2)",
        "not a journal entry (j@3)",
    ]


def test_an_endless_line_and_deep_nesting_do_no_harm() -> None:
    deep = b'{"MESSAGE":' + b"[" * 100_000 + b"\n"
    endless = b'{"MESSAGE":"' + b"x" * (20 << 20) + b'"}\n'
    records, blind = read(line() + deep + endless + line())
    assert len(records) == 2
    assert len(blind) == 2


def test_interesting_is_asked_before_anything_is_parsed() -> None:
    reader = JsonReader(io.BytesIO(line() + b"{torn\n"), "j", lambda raw: b"hello" in raw)
    assert len(list(reader)) == 1
    assert reader.watch.first_s == 5


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
names = st.sampled_from(["MESSAGE", "UNIT", "_PID", "__REALTIME_TIMESTAMP", "_TRANSPORT", "x"])


@given(st.lists(st.dictionaries(names, anything, max_size=6), max_size=6))
def test_wrong_types_never_raise(entries: list[dict[str, object]]) -> None:
    raw = b"".join(json.dumps(one).encode() + b"\n" for one in entries)
    for found in read_json(io.BytesIO(raw), "j"):
        if isinstance(found, Record):
            assert isinstance(found.message, str)
            assert all(isinstance(value, str) for value in found.fields.values())


@given(st.binary(max_size=1500))
def test_noise_never_raises(raw: bytes) -> None:
    list(read_json(io.BytesIO(raw), "j"))
