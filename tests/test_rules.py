"""The engine: who is believed, what becomes detail, and how a bad rule is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import UserError
from agent.model import Kind, Record, SubjectKind, Trust
from agent.rules.catalogue import MESSAGE_LIMIT, RULEBOOK, TEXT_LIMIT, Catalogue
from agent.rules.details import go_seconds
from agent.rules.literals import needles, text_of, whole_words

CATALOGUE = Catalogue.load()
PID_1 = {"_PID": "1", "_COMM": "systemd", "_TRANSPORT": "journal", "_SYSTEMD_UNIT": "init.scope"}
MONITOR = {"_TRANSPORT": "stdout", "_SYSTEMD_UNIT": "kube-docker-monitor.service", "_UID": "0"}
GOOD = """
[[rule]]
id = "mine"
fact = "monitor_kills_runtime"
about = "runtime"
match = { _SYSTEMD_UNIT = "my-watch.service", _UID = "0" }
pattern = 'runtime given up after (?P<seconds>\\S+)'
matches = ["runtime given up after 2m"]
rejects = ["runtime given back"]
"""


def spoken(message: str, fields: dict[str, str], trust: Trust = Trust.TRUSTED) -> Record:
    return Record(12.5, "journal", message, fields, trust, where="cursor", boot="b0")


def kinds(message: str, fields: dict[str, str], trust: Trust = Trust.TRUSTED) -> set[Kind]:
    return {fact.kind for fact in CATALOGUE.facts(spoken(message, fields, trust))}


def test_a_fact_carries_what_the_record_said() -> None:
    (fact,) = CATALOGUE.facts(spoken("Docker daemon failed!", MONITOR))
    assert (fact.kind, fact.at_s, fact.boot) == (Kind.MONITOR_KILLS_RUNTIME, 12.5, "b0")
    assert (fact.subject.kind, fact.subject.name) == (SubjectKind.UNIT, "docker.service")
    assert (fact.where, fact.rule, fact.trust) == ("cursor", "gke-docker-monitor", Trust.TRUSTED)
    assert fact.detail["speaker"] == "kube-docker-monitor.service"


def test_message_id_speaks_any_language_and_forbids_other_ids() -> None:
    stopping = {**PID_1, "UNIT": "docker.service", "MESSAGE_ID": "de5b426a63be47a7b6ac3eaac82e2f6f"}
    (fact,) = CATALOGUE.facts(spoken("docker.service wird gestoppt", stopping))
    assert (fact.kind, fact.subject.name) == (Kind.UNIT_STOPPING, "docker.service")
    other = {**stopping, "MESSAGE_ID": "39f53479d3a045ac8e11786248231fbf"}
    assert kinds("Stopping docker.service...", other) == {Kind.UNIT_STARTED}


def test_targets_and_mounts_are_no_units_of_interest() -> None:
    started = {**PID_1, "UNIT": "umount.target", "MESSAGE_ID": "39f53479d3a045ac8e11786248231fbf"}
    assert kinds("Reached target umount.target.", started) == set()


def test_user_managers_are_neither_believed_nor_counted() -> None:
    fields = {"_PID": "2578", "_COMM": "systemd", "USER_UNIT": "x.service", "_UID": "1000"}
    reading = CATALOGUE.read(spoken("x.service: Failed with result 'signal'.", fields))
    assert reading == ((), None)


def test_pasted_identifiers_stand_for_units() -> None:
    panic = "fatal error: concurrent map writes"
    assert kinds(panic, {"SYSLOG_IDENTIFIER": "dockerd"}, Trust.QUOTED) == {Kind.RUNTIME_PANIC}
    assert kinds(panic, {"SYSLOG_IDENTIFIER": "kubelet"}, Trust.QUOTED) == {Kind.KUBELET_PANIC}
    assert kinds(panic, {"SYSLOG_IDENTIFIER": "myapp"}, Trust.QUOTED) == set()
    assert kinds(panic, {}, Trust.QUOTED) == set()


def test_a_pasted_stranger_may_not_say_guarded_words() -> None:
    record = spoken("Docker daemon failed!", {"SYSLOG_IDENTIFIER": "myapp"}, Trust.QUOTED)
    assert CATALOGUE.read(record) == ((), "gke-docker-monitor")
    assert kinds("Docker daemon failed!", {}, Trust.QUOTED) == {Kind.MONITOR_KILLS_RUNTIME}


def test_one_fact_per_kind_and_several_kinds_per_line() -> None:
    kernel = {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0"}
    line = "memory: usage 51200kB, limit 51200kB, failcnt 251087"
    assert kinds(line, kernel) == {Kind.OOM_AT_LIMIT, Kind.OOM_IN_MEMCG}
    assert len(CATALOGUE.facts(spoken(line, kernel))) == 2


@pytest.mark.parametrize(
    "message",
    [
        "Node host-a status is now: NodeHasSufficientMemory",
        "Node host-a status is now: NodeHasNoDiskPressure",
        (
            "Registration of the crio container factory failed: dial unix /var/run/crio/crio.sock: "
            "connect: no such file or directory"
        ),
        "dial tcp 10.0.0.1:6443: connect: connection refused",
        "TearDown network for sandbox successfully",
        "node has no disk pressure",
    ],
)
def test_good_news_and_other_peoples_trouble_are_no_facts(message: str) -> None:
    assert kinds(message, {"_SYSTEMD_UNIT": "kubelet.service"}) <= {Kind.NODE_READY}
    assert kinds(message, {}, Trust.QUOTED) <= {Kind.NODE_READY}


def test_hostile_messages_are_read_in_part() -> None:
    huge = "x" * 10_000_000 + " no space left on device"
    assert kinds(huge, {"_SYSTEMD_UNIT": "kubelet.service"}) == set()
    near = "no space left on device " + "\udcff\0" * MESSAGE_LIMIT
    (fact,) = CATALOGUE.facts(spoken(near, {"_SYSTEMD_UNIT": "kubelet.service"}))
    assert len(fact.text) == TEXT_LIMIT


def test_memory_of_speakers_is_bounded() -> None:
    catalogue = Catalogue.load()
    for number in range(10_000):
        fields = {"_SYSTEMD_UNIT": f"cri-containerd-{number}.scope", "_PID": str(number)}
        catalogue.read(spoken("nothing", fields))
    assert len(catalogue._remembered) <= 4096
    assert len(catalogue._audiences) < 100


def test_repeats_keep_their_first_time() -> None:
    fields = {"EVENT_REASON": "SandboxChanged", "OBJECT_KIND": "Pod", "OBJECT_NAME": "pg-0"}
    record = Record(9.0, "events", "x", fields, Trust.TRUSTED, count=4, since_s=3.0)
    (fact,) = CATALOGUE.facts(record)
    assert (fact.count, fact.detail["since_s"]) == (4, "3.000000")


def test_go_durations() -> None:
    assert go_seconds("7.454439372s") == pytest.approx(7.454439372)
    assert go_seconds("3m12.5s") == pytest.approx(192.5)
    assert go_seconds("680.5ms") == pytest.approx(0.6805)
    assert go_seconds("12") == 12.0
    assert go_seconds("soon") is None


def test_literals_are_needed_by_every_match() -> None:
    assert {tuple(map(text_of, one)) for one in needles(r"^Docker daemon failed!")} == {
        ("docker daemon failed!",)
    }
    keys = {text_of(one[0]) for one in needles(r"(?i)\bno space left|\bENOSPC\b")}
    assert keys == {"no space left", "enospc"}
    assert needles(r"\d+|x*") == frozenset()
    assert whole_words("\0no space lef") == ["no", "space"]


def test_extra_rules_are_loaded_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    catalogue = Catalogue.load([path])
    fields = {"_SYSTEMD_UNIT": "my-watch.service", "_UID": "0"}
    (fact,) = catalogue.facts(spoken("runtime given up after 2m", fields))
    assert (fact.rule, fact.detail["seconds"]) == ("mine", "120")


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ('fact = "monitor_kills_runtime"', 'fact = "monitor_kils"', "fact"),
        ('about = "runtime"', 'about = "moon"', "about"),
        ("pattern = '", "pattren = '", "pattren"),
        ("pattern = 'runtime", "pattern = '(runtime", "pattern"),
        ("pattern = 'runtime given up after (?P<seconds>\\S+)'", "pattern = '\\d+'", "literal"),
        ('matches = ["runtime given up after 2m"]\n', "", "matches"),
        ('rejects = ["runtime given back"]\n', "", "rejects"),
        ("runtime given back", "runtime given up after 9s", "rejects"),
        ("given up after 2m", "given way after 2m", "matches"),
        ('"my-watch.service"', '"@nobody"', "@nobody"),
        ('_SYSTEMD_UNIT = "my-watch.service", _UID = "0"', 'UNIT = "x"', "vouches"),
        ('id = "mine"', 'id = "unit-stopping"', "unit-stopping"),
        ('id = "mine"', "id = 3", "id"),
        ("[[rule]]", "[[rule", "TOML"),
    ],
)
def test_a_bad_rule_is_refused_by_name(tmp_path: Path, old: str, new: str, names: str) -> None:
    assert old in GOOD
    path = tmp_path / "mine.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UserError) as refused:
        Catalogue.load([path])
    assert "mine.toml" in refused.value.message
    assert names in refused.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Catalogue.load([tmp_path / "none.toml"])


def test_the_rulebook_holds_a_file_per_speaker() -> None:
    assert {path.stem for path in RULEBOOK.glob("*.toml")} >= {
        "monitors", "systemd", "kernel", "kubelet", "docker", "containerd", "crio", "events",
        "planned", "drain", "network", "config", "certs", "storage-errors", "etcd", "units",
    }  # fmt: skip
