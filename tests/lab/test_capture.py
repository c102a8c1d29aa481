"""What leaves the lab: our own journal lines, whole, and nothing of the machine around it."""

from __future__ import annotations

from tests.lab import capture


def export(*lines: bytes) -> bytes:
    return b"\n".join(lines) + b"\n\n"


def kernel(message: bytes) -> capture.Entry:
    return [(b"_TRANSPORT", b"kernel"), (b"MESSAGE", message)]


def oom(cgroup: bytes) -> list[capture.Entry]:
    return [
        kernel(b"dockerd invoked oom-killer: gfp_mask=0xcc0"),
        kernel(
            b"oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/deep/" + cgroup + b"/system.slice"
        ),
        kernel(b"Memory cgroup out of memory: Killed process 7 (dockerd)"),
    ]


def test_an_export_survives_reading_and_writing() -> None:
    text = b"two\nlines"
    raw = b"MESSAGE\n" + len(text).to_bytes(8, "little") + text + b"\n" + export(b"PRIORITY=6")
    raw += export(b"MESSAGE=a=b", b"_PID=1")
    found = list(capture.entries(raw))
    assert found[0] == [(b"MESSAGE", text), (b"PRIORITY", b"6")]
    assert capture.serialise(found) == raw


def test_a_torn_export_gives_what_is_whole() -> None:
    assert list(capture.entries(export(b"MESSAGE=whole") + b"MESSAGE=to")) == [
        [(b"MESSAGE", b"whole")]
    ]


def test_only_the_nodes_own_oom_kill_is_kept_of_the_kernels_log() -> None:
    ours = oom(b"knockon-lab-1")
    log = [kernel(b"docker0: port 1"), *oom(b"knockon-lab-2"), *ours, kernel(b"usb 1-1: reset")]
    assert list(capture.own_entries(log, "knockon-lab-1")) == ours


def test_strings_of_the_machine_are_replaced_longest_first() -> None:
    entry = [(b"MESSAGE", b"oom_memcg=/deep/box/docker,cpuset=box Tainted 6.18.44-x #1")]
    cleaned = capture.scrubbed(
        entry, {"/deep/box": "", "/box": "", "box": "/", "6.18.44-x": "6.18"}
    )
    assert cleaned == [(b"MESSAGE", b"oom_memcg=/docker,cpuset=/ Tainted 6.18 #1")]
