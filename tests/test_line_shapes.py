"""Each shape of line that people paste: when it was, who speaks, what was said."""

from __future__ import annotations

import pytest

from agent.model import Trust
from tests.pasting import one, utc


@pytest.mark.parametrize(
    ("line", "when", "message"),
    [
        ("Oct 20 06:21:04 h systemd[1]: Stopping X...", "2019-10-20T06:21:04", "Stopping X..."),
        ("Oct 20 06:21:04.838398 h x[1]: m", "2019-10-20T06:21:04.838398", "m"),
        ("Mar  3 15:04:11 h x[1]: m", "2019-03-03T15:04:11", "m"),
        ("sept. 20 16:41:05 h kubelet[67]: m", "2019-09-20T16:41:05", "m"),
        ("12月 11 11:42:07 h kubelet[61]: m", "2019-12-11T11:42:07", "m"),
        ("Dez 11 11:42:07 h kubelet[61]: m", "2019-12-11T11:42:07", "m"),
        ("Okt 11 11:42:07 h kubelet[61]: m", "2019-10-11T11:42:07", "m"),
        ("Feb 29 18:31:53 h kubelet[61]: m", "2016-02-29T18:31:53", "m"),
        ("2019-11-18T14:26:19+05:30 h x[1]: m", "2019-11-18T08:56:19", "m"),
        ("2019-11-18T14:26:19+0530 x[1]: m", "2019-11-18T08:56:19", "m"),
        ("2019-11-18 14:26:19 +0530 h x[1]: m", "2019-11-18T08:56:19", "m"),
        ("Sun 2019-12-15 23:40:19 UTC h x[1]: m", "2019-12-15T23:40:19", "m"),
        ("Sun 2019-12-15 23:40:19 CET h x[1]: m", "2019-12-15T22:40:19", "m"),
        (
            "2017-09-16 00:29:55.672 info docker[31677]: panic: x",
            "2017-09-16T00:29:55.672",
            "panic: x",
        ),
        (
            "2016-02-29 18:31:48,790 INFO success: docker entered RUNNING state",
            "2016-02-29T18:31:48.79",
            "INFO success: docker entered RUNNING state",
        ),
        ("[Sun Dec 15 23:40:19 2019] CPU: 9", "2019-12-15T23:40:19", "CPU: 9"),
        (
            'time="2017-12-11T11:42:07+08:00" level=info msg="No config" a=b',
            "2017-12-11T03:42:07",
            'No config a="b"',
        ),
        (
            "I1107 08:45:56.702249       1 scale_down.go:582] h was",
            "2019-11-07T08:45:56.702249",
            "h was",
        ),
        (
            "host-a: kern:  err: [2025-05-14T13:57:31.924363305Z]: I/O error",
            "2025-05-14T13:57:31.924363",
            "I/O error",
        ),
        (
            "user: warning: [2025-12-14T20:30:06.216449031Z]: [talos] controller failed",
            "2025-12-14T20:30:06.216449",
            "[talos] controller failed",
        ),
        (
            "2021-03-16 06:03:58.184031 W | etcdserver: slow",
            "2021-03-16T06:03:58.184031",
            "etcdserver: slow",
        ),
        ("2022-05-26T17:05:16.45Z stderr F hello", "2022-05-26T17:05:16.45", "hello"),
        (
            "2019-10-20 06:21:04 upgrade containerd.io:amd64 1.2.10-2 1.2.10-3",
            "2019-10-20T06:21:04",
            "upgrade containerd.io:amd64 1.2.10-2 1.2.10-3",
        ),
        (
            "Oct 20 06:21:04 Updated: docker-ce-19.03.4-3.el7.x86_64",
            "2019-10-20T06:21:04",
            "Updated: docker-ce-19.03.4-3.el7.x86_64",
        ),
        ("> \x1b[31mOct 20 06:21:04 h x[1]: m\x1b[0m\r\n", "2019-10-20T06:21:04", "m"),
        ("    Oct 20 06:21:04 h x[1]: m", "2019-10-20T06:21:04", "m"),
        ("1575938479.123456 h x[1]: m", "2019-12-10T00:41:19.123456", "m"),
    ],
)
def test_when_and_what(line: str, when: str, message: str) -> None:
    record = one(line)
    assert (utc(record), record.message) == (when, message)
    assert record.trust is Trust.QUOTED
    assert record.where == "log:1"


@pytest.mark.parametrize(
    ("line", "claims"),
    [
        (
            "Oct 20 06:21:04 h systemd[1]: Stopping Docker Application Container Engine...",
            {"_PID": "1", "_COMM": "systemd", "UNIT": "docker.service"},
        ),
        (
            "Oct 20 06:21:04 h systemd: Unit kubelet.service entered failed state.",
            {"_PID": "1", "UNIT": "kubelet.service"},
        ),
        (
            "Oct 20 06:21:04 h systemd[2578]: x.mount: Succeeded.",
            {"_PID": "2578", "UNIT": "x.mount"},
        ),
        (
            "May  1 06:21:04 h systemd: Stopped Service for snap application microk8s.daemon-x.",
            {"UNIT": "snap.microk8s.daemon-x.service"},
        ),
        (
            "Oct 20 06:21:04 h systemd[1]: Started docker.service - Docker.",
            {"UNIT": "docker.service"},
        ),
        ("k3s.service: Main process exited, code=exited", {"_PID": "1", "UNIT": "k3s.service"}),
        (
            "Oct 20 06:21:04 h kubelet[67]: m",
            {"SYSLOG_IDENTIFIER": "kubelet", "_PID": "67", "_SYSTEMD_UNIT": "kubelet.service"},
        ),
        ("Oct 20 06:21:04 h dockerd[67]: m", {"_SYSTEMD_UNIT": "docker.service", "_HOSTNAME": "h"}),
        ("Oct 20 06:21:04 h kernel: m", {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0"}),
        (
            "[ 2092.653938]  </TASK>",
            {"_TRANSPORT": "kernel", "_SOURCE_MONOTONIC_TIMESTAMP": "2092653938"},
        ),
        ("<6>[ 2092.653938] m", {"_TRANSPORT": "kernel"}),
        ("kern  :info  : [ 2092.653938] m", {"_TRANSPORT": "kernel"}),
        ("[    5.123456] h systemd[1]: Started x.", {"_PID": "1", "_HOSTNAME": "h"}),
        (
            "E0920 16:41:05.744437    6778 kubelet.go:289] m",
            {"SYSLOG_IDENTIFIER": "kubelet", "LEVEL": "error"},
        ),
        ("2021-03-16 06:03:58.184031 W | etcdserver: m", {"SYSLOG_IDENTIFIER": "etcd"}),
        ("2019-10-20 06:21:04 status installed x", {"SYSLOG_IDENTIFIER": "dpkg"}),
    ],
)
def test_who_speaks(line: str, claims: dict[str, str]) -> None:
    record = one(line)
    assert claims.items() <= record.fields.items()
    assert record.source == ("kernel" if "_TRANSPORT" in claims else "text")
