"""Pasted logs: lines that depend on each other, lines of a corpus, and whatever else."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import BlindSpot, Record, Trust
from agent.sources.pasted import read_pasted, record_from_event, record_from_line
from agent.sources.stamps import Clock, age_s, iso_s, iso_stamp, unix_s
from tests.pasting import NOW_S, one, paste, utc


def test_text_that_only_looks_like_a_kernel_stamp_is_left_alone() -> None:
    line = "Dec 09 06:29:20 host-a kernel: [ 2022]     0  2022    49738      631 containerd-shim"
    assert one(line).message.startswith("[ 2022]     0")


def test_a_kernel_line_with_both_clocks_dates_those_with_one() -> None:
    records = paste("Mar  3 15:04:11 h kernel: [100.000000] first\n[160.500000] second\n")
    assert records[0].message == "first"
    assert records[1].at_s == records[0].at_s + 60.5  # type: ignore[operator]


def test_a_new_boot_starts_at_a_separator() -> None:
    boot = "1fa404e5b52b4e52b3c255ab92843708"
    text = (
        "Oct 20 06:21:04 h x[1]: a\n-- Reboot --\nOct 20 06:22:04 h x[1]: b\n"
        f"-- Boot {boot} --\nOct 20 06:23:04 h x[1]: c\n"
    )
    assert [record.boot for record in paste(text)] == ["", "boot-1", "boot-1", boot, boot]


def test_undated_lines_take_the_time_of_their_stream() -> None:
    text = (
        "Dec 10 15:24:57 h containerd[99]: fatal error: concurrent map writes\n"
        "goroutine 164 [running]:\n\n\tmain.go:48\nplain words\n\nother words\n"
    )
    first, stack, frame, words, others = paste(text)
    assert first.at_s == stack.at_s == frame.at_s == words.at_s
    assert stack.fields["_SYSTEMD_UNIT"] == "containerd.service"
    assert "SYSLOG_IDENTIFIER" not in words.fields
    assert others.at_s is None


def test_the_zone_is_worked_out_from_stamps_inside() -> None:
    text = (
        "Mar 16 02:03:58 h etcd[362]: 2021-03-16 06:03:58.184031 W | etcdserver: slow\n"
        "Mar 16 02:04:01 h systemd[1]: Stopping X...\n"
    )
    slow, stopping = paste(text, now_s=iso_s("2026-01-01T00:00:00Z") or 0.0)
    assert utc(slow) == "2021-03-16T06:03:58"
    assert utc(stopping) == "2021-03-16T06:04:01"
    assert stopping.fields["ZONE"] == "-04:00"


def test_without_such_stamps_the_time_is_local_and_said() -> None:
    record = one("Oct 20 06:21:04 h kubelet[1]: I1020 06:21:04.100000 1 kubelet.go:1] m")
    assert record.fields["TIME"] == "local"
    assert "ZONE" not in record.fields


def test_the_year_comes_from_any_full_date() -> None:
    text = "-- Logs begin at Tue 2016-10-18 11:00:00 UTC. --\nOct 20 06:21:04 h x[1]: m\n"
    assert utc(paste(text)[-1]) == "2016-10-20T06:21:04"


def test_apt_history_is_dated_by_its_stanza() -> None:
    text = (
        "Start-Date: 2019-10-20  06:20:51\nCommandline: /usr/bin/unattended-upgrade\n"
        "Upgrade: docker-ce:amd64 (5:19.03.3~3, 5:19.03.4~3)\nEnd-Date: 2019-10-20  06:20:58\n"
    )
    records = paste(text)
    assert [utc(record)[-2:] for record in records] == ["51", "51", "51", "58"]
    assert records[2].fields["SYSLOG_IDENTIFIER"] == "apt-history"


def test_lines_broken_by_a_ticket_are_joined() -> None:
    text = (
        'time="2019-05-26T17:05:16Z" level=info msg="RunPodSandbox for\n'
        '&PodSandboxMetadata{Name:etcd,}"\n'
        'time="2019-05-26T17:05:17Z" level=info msg="next"\n'
    )
    assert [record.message for record in paste(text)] == [
        "RunPodSandbox for &PodSandboxMetadata{Name:etcd,}",
        "next",
    ]


def test_lines_wrapped_at_one_width_are_joined() -> None:
    start = "Oct 20 06:21:04 host-a systemd[1]: docker.service: Main process exited, code=killed,"
    text = f"{start}\nstatus=9/KILL\n{start}\nstatus=15/TERM\nOct 20 06:21:04 h x[1]: short\n"
    messages = [record.message for record in paste(text)]
    assert messages[0] == "docker.service: Main process exited, code=killed, status=9/KILL"
    assert len(messages) == 3


def test_a_corpus_line() -> None:
    record = record_from_line(
        'E0125 06:42:39.880363 8707480 leaderelection.go:325] error retrieving: "x"',
        raw="Jan 25 06:42:41 host-a k3s[87]: E0125 06:42:39.880363 8707480 leaderelection.go:325] "
        'error retrieving: "x"',
        at_s=1611556961.0,
        source="journal",
        unit="k3s.service",
        identifier="k3s",
    )
    assert (record.at_s, record.message) == (1611556961.0, 'error retrieving: "x"')
    assert record.fields["_SYSTEMD_UNIT"] == "k3s.service"
    assert record.fields["_PID"] == "87"


@pytest.mark.parametrize(
    ("keys", "claims"),
    [
        ({"source": "kernel", "unit": "kernel"}, {"_TRANSPORT": "kernel"}),
        ({"source": "kubelet_log"}, {"SYSLOG_IDENTIFIER": "kubelet"}),
        (
            {"source": "journal", "identifier": "systemd", "unit": "a.mount"},
            {"_PID": "1", "UNIT": "a.mount"},
        ),
        ({"source": "other", "unit": "k3s.service"}, {"_SYSTEMD_UNIT": "k3s.service"}),
        (
            {"source": "other", "unit": "kubelet.service", "identifier": "x"},
            {"UNIT": "kubelet.service"},
        ),
        ({}, {}),
    ],
)
def test_a_corpus_line_without_its_prefix(keys: dict[str, str], claims: dict[str, str]) -> None:
    record = record_from_line("Some words", **keys)  # type: ignore[arg-type]
    assert claims.items() <= record.fields.items()
    assert record.message == "Some words"


def test_a_corpus_event() -> None:
    event = {
        "ts": None,
        "type": "Normal",
        "reason": None,
        "object": None,
        "source": "kubelet, host-b",
        "message": "Pod sandbox changed, it will be killed and re-created.",
        "count": 5169,
        "age": "first 19h, last 1s",
    }
    record = record_from_event(event, now_s=NOW_S)
    assert (record.at_s, record.since_s, record.count) == (NOW_S - 1, NOW_S - 19 * 3600, 5169)
    assert record.fields["EVENT_REASON"] == "SandboxChanged"
    assert record.fields["NODE"] == "host-b"
    assert record_from_event({"message": 5, "count": "x", "ts": []}).message == ""


def test_ages() -> None:
    assert age_s("5d1h") == 5 * 86400 + 3600
    assert age_s("<unknown>") is None


# -- whatever else is pasted -----------------------------------------------------------------------

starts = st.sampled_from(
    ["", "Oct 20 06:21:04 ", "Oct 20 06:21:04 h x[1]: ", "[ 1.000000] ", "[", "> ", "2019-01-01 ",
     "2019-01-01T00:00:00Z ", "12月 ", "99月 99 99:99:99 ", "LAST SEEN TYPE REASON OBJECT MESSAGE",
     "Normal ", "5m Normal A b/c ", "Name: ", "  State: ", "Start-Date: ", "-- Boot ", "I1107 08:",
     "Feb 30 00:00:00 h x: ", "0000-00-00 00:00:00 ", "9999-12-31T23:59:60Z x[1]: ", "{", "```"]
)  # fmt: skip


@given(st.lists(st.tuples(starts, st.text(max_size=40)), max_size=12), st.floats(0, 4e9))
def test_nothing_raises(lines: list[tuple[str, str]], now_s: float) -> None:
    for found in read_pasted([start + text for start, text in lines], "log", now_s=now_s):
        if isinstance(found, Record):
            assert found.trust is Trust.QUOTED
            record_from_line(found.message)


@pytest.mark.parametrize(
    "piece", [" ", "a ", "1", "[", "a" * 9 + "=", "Normal ", "5m ", "x" * 99 + " ", "\x1b["]
)
def test_hostile_lines_cost_little(piece: str) -> None:
    for start in ("", "Oct 20 06:21:04 ", "5m Warning A ", "2019-01-01 00:00:00 ", "Name: x"):
        paste((start + piece * 30_000)[:70_000] + "\n")


def test_bytes_that_are_no_text_are_counted() -> None:
    found = list(read_pasted(["\ufffd" * 40, "Oct 20 06:21:04 h x[1]: m"], "log", now_s=NOW_S))
    assert isinstance(found[-1], BlindSpot)
    assert "1 lines are not text" in found[-1].why


SPAN = (datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("2200-01-01"))


@given(st.datetimes(*SPAN), st.integers(-50, 50))
def test_iso_times_round_trip(when: datetime, quarters: int) -> None:
    sign, minutes = "-" if quarters < 0 else "+", abs(quarters) * 15
    text = f"{when.isoformat()}{sign}{minutes // 60:02}:{minutes % 60:02}"
    stamp = iso_stamp(text)
    assert stamp is not None
    at_s = unix_s(stamp, Clock(0.0))
    assert at_s == pytest.approx(datetime.fromisoformat(text).timestamp(), abs=1e-5)
