"""Envelopes come off once; what has none stays as it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sources.unwrap import MAX_MESSAGE_CHARS, unwrap

ZAP = (
    '{"level":"warn","ts":"2021-01-25T06:42:36+0100","caller":"wal/wal.go:806",'
    '"msg":"slow fdatasync","took":"7.4s","expected-duration":"1s"}'
)


@pytest.mark.parametrize(
    ("line", "message", "level", "stamp"),
    [
        (
            'E0722 18:55:59.543714 2886606 runtime.go:76] Observed a panic: "x"',
            'Observed a panic: "x"',
            "error",
            "0722 18:55:59.543714",
        ),
        (
            'I1123 11:45:46.099628   19384 kubelet_volumes.go:161] "Cleaned up" podUID="7165"',
            '"Cleaned up" podUID="7165"',
            "info",
            "1123 11:45:46.099628",
        ),
        (
            "INFO:1211 11:42:07.972324    6154 kuberuntime_manager.go:384] No ready sandbox",
            "No ready sandbox",
            "info",
            "1211 11:42:07.972324",
        ),
        (
            'time="2026-11-23T11:45:52.6Z" level=error msg="say \\"no\\"" error="a b" n=1',
            'say "no" error="a b" n="1"',
            "error",
            "2026-11-23T11:45:52.6Z",
        ),
        (
            'time="2026-11-23T11:45:52.6Z" level=info msg="cut in the mid',
            "cut in the mid",
            "info",
            "2026-11-23T11:45:52.6Z",
        ),
        (
            ZAP,
            'slow fdatasync took="7.4s" expected-duration="1s"',
            "warn",
            "2021-01-25T06:42:36+0100",
        ),
        (
            "2021-03-16 06:03:58.184031 W | etcdserver: took too long (2s) to execute",
            "etcdserver: took too long (2s) to execute",
            "warning",
            "2021-03-16 06:03:58.184031",
        ),
        ("2020/01/02 03:04:05 plain Go log", "plain Go log", "", "2020/01/02 03:04:05"),
        ("WARN[0012] Your kernel does not   id=7", "Your kernel does not   id=7", "warning", ""),
    ],
)
def test_each_envelope(line: str, message: str, level: str, stamp: str) -> None:
    found = unwrap(line)
    assert (found.message, found.level, found.stamp) == (message, level, stamp)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Stopping Docker Application Container Engine...",
        "Error: no such thing",
        "Failed to start docker.service",
        "time=now without a message",
        '{"no": "message"}',
        '{"msg": "torn',
        "[1, 2]",
        "I am no klog line",
        "2 files changed",
        '{"msg":' + "[" * 50_000,
    ],
)
def test_lines_without_an_envelope_are_the_same_object(line: str) -> None:
    assert unwrap(line).message is line


def test_only_the_outer_envelope_comes_off() -> None:
    inner = "F0722 18:55:59.543496 2886606 controller.go:170] Unable"
    assert unwrap(f"E0722 18:55:59.543714 28 runtime.go:76] {inner}").message == inner


def test_the_message_keeps_to_its_size() -> None:
    line = json.dumps({"msg": "x", "more": "y" * (2 * MAX_MESSAGE_CHARS)})
    assert len(unwrap(line).message) == MAX_MESSAGE_CHARS


keys = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


@given(st.text(), st.dictionaries(keys, st.text(max_size=20), max_size=5))
def test_logfmt_gives_back_what_was_put_in(message: str, more: dict[str, str]) -> None:
    def quoted(text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'

    more = {f"k{key}": value for key, value in more.items()}
    tail = "".join(f" {key}={quoted(value)}" for key, value in more.items())
    found = unwrap(f'time="2026-11-23T11:45:52Z" level=info msg={quoted(message)}{tail}')
    assert found.message == message + "".join(f' {key}="{value}"' for key, value in more.items())


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_klog_gives_back_what_was_put_in(message: str) -> None:
    assert unwrap(f"W1123 11:45:46.099628   19384 a_b.go:1] {message}").message == message


@given(st.sampled_from(["", "I", "time=", "{", "20", "INFO[", 'level=info msg="']), st.text())
def test_nothing_raises(start: str, text: str) -> None:
    assert isinstance(unwrap(start + text).message, str)


def test_hostile_quotes_cost_little() -> None:
    for text in ('a="' * 20_000, '\\"k="' * 20_000, "a=b " * 20_000, '"' * 60_000):
        unwrap(f'time="x" msg="y" {text}')
