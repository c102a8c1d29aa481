"""Lines no rule knows are understood by their words; denials, plans and conditions are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.diagnosis.correlate import Scope, correlate
from agent.diagnosis.diagnose import diagnose
from agent.kube.announce import announcements
from agent.kube.event_body import CONTROLLER
from agent.model import Cause, Fact, Kind, Record, Trust
from agent.rules.catalogue import Catalogue
from agent.rules.gate import Gate
from agent.rules.literals import words_of
from agent.rules.plain_words import OURSELVES, sayings
from agent.rules.vocabulary import Vocabulary
from agent.sources.kubectl import event_record
from tests.fake_events import to_core
from tests.handmade import PODS, founding

CATALOGUE = Catalogue.load()
WORDS_ONLY = CATALOGUE.without({rule.id for rule in CATALOGUE.rules})
WORDS = Vocabulary.load()

# Invented wordings: no program prints them, so no rule can know them.
PARAPHRASES = {
    Cause.DISK_FULL: (
        "cannot store layer: the partition is 100% full",
        "giving up, {disk} ran out of inodes",
        "insufficient disk space in /var/lib/store, need 3 GiB",
        "the node's filesystem got full while pulling an image",
    ),
    Cause.DISK_ERROR: (
        "block layer: {disk} reports an uncorrectable problem at 8812",
        "the drive has gone; path is dead",
        "lost access to the volume group's device, disk is gone",
        "superblock of the root filesystem is corrupted",
        "root filesystem went read-only after a write failed",
    ),
    Cause.CLOCK_OR_CERT: (
        "peer refused us, its serving certificate expired on Tuesday",
        "client cert not yet valid for this node",
        "system clock jumped backwards by 3600 s",
        "kubeconfig credentials: certificate signed by unknown authority",
    ),
    Cause.CONFIG_MISMATCH: (
        "start refused: unknown option in the config file",
        "the cgroup driver of both sides does not match",
        "that feature gate is unsupported by this release",
        "the setting conflicts with another parameter",
    ),
    Cause.RUNTIME_HANG: (
        "the container runtime is unresponsive since 04:12",
        "containerd has stopped responding to us",
        "the docker daemon hung again",
    ),
    Cause.RUNTIME_CRASH: ("containerd crashed while the shim was starting",),
    Cause.MEMORY_PRESSURE: (
        "the machine is low on memory, nothing left to hand out",
        "kubelet could not allocate memory for its caches",
    ),
    Cause.CPU_STARVATION: ("processors are saturated, kubelet was not scheduled for 40 s",),
    Cause.IO_SATURATION: (
        "writes are slow: {disk} is saturated",
        "etcd reports slow commits, fsync took 12 s",
    ),
    Cause.CNI_FAILURE: (
        "flannel could not allocate a subnet for us",
        "no free addresses in the calico block",
        "the network plugin crashed while setting up the pod",
    ),
    Cause.VOLUME_THROTTLED: ("IOPS limit of the cloud disk reached, burst credits are spent",),
}
DENIALS = (
    "no {said}",
    "{said}: recovered",
    "if {said}, restart the node",
    "checking whether {said}",
    "this will happen when {said} is resolved",
    "{said} was resolved",
    "the following is no longer the case and was cleared: {said}",
    "to avoid that {said}, set a limit",
)
CASES = [(cause, line) for cause, lines in PARAPHRASES.items() for line in lines]


def kubelet_says(message: str, trust: Trust = Trust.QUOTED, **fields: str) -> Record:
    speaker = {"_SYSTEMD_UNIT": "kubelet.service", "SYSLOG_IDENTIFIER": "kubelet", **fields}
    return Record(1_700_000_000.0, "journal", message, speaker, trust)


def symptoms(catalogue: Catalogue, record: Record) -> list[Fact]:
    return [fact for fact in catalogue.facts(record) if fact.kind is Kind.SYMPTOM]


@pytest.mark.parametrize(("cause", "line"), CASES, ids=[line[:40] for _, line in CASES])
def test_a_line_nobody_wrote_a_rule_for_speaks_for_its_cause(cause: Cause, line: str) -> None:
    found = symptoms(WORDS_ONLY, kubelet_says(line.format(disk="sdb")))
    assert cause in {fact.detail["cause"] for fact in found}


@given(
    st.sampled_from(CASES),
    st.sampled_from(DENIALS),
    st.sampled_from(["sda", "nvme1n1", "the data disk", "dm-3"]),
)
def test_what_is_denied_planned_or_over_is_no_symptom(
    case: tuple[Cause, str], denial: str, disk: str
) -> None:
    cause, line = case
    said = denial.format(said=line.format(disk=disk).replace("; ", ", "))
    if denial == "no {said}":
        return  # "no" takes back only the words right behind it: see the next test
    found = symptoms(WORDS_ONLY, kubelet_says(said))
    assert cause not in {fact.detail["cause"] for fact in found}, said


@pytest.mark.parametrize(
    "line",
    [
        "no I/O errors on sda",
        "the disk has no bad sectors",
        "0 read errors on nvme0n1",
        "certificate is not expired",
        "DiskPressure=False, the disk has room",
        "node memory pressure: none",
        "disk pressure is over, filesystem has space again: resolved",
        "containerd answers again after it hung",
        "will retry when the disk is not full",
        "setting is deprecated",
        "cgroup v2 not found, falling back: unsupported cgroup mode falls back to v1",
        "probe timeout: 30s",
        "--runtime-request-timeout=2m0s",
    ],
)
def test_reassuring_lines_say_nothing(line: str) -> None:
    assert symptoms(WORDS_ONLY, kubelet_says(line)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"_SYSTEMD_UNIT": "shop.service", "SYSLOG_IDENTIFIER": "shop"},
        {"LEVEL": "info"},
        {"USER_UNIT": "kubelet.service"},
        {"CONTAINER_ID": "f3", "CONTAINER_NAME": "web"},
        {"EVENT_REASON": "Unhealthy"},
        {"EVENT_REASON": "Pulled", "EVENT_TYPE": "Normal"},
    ],
)
@pytest.mark.parametrize("trust", list(Trust))
def test_an_application_is_not_heeded(fields: dict[str, str], trust: Trust) -> None:
    record = kubelet_says("the root disk has bad sectors", trust, **fields)
    assert symptoms(CATALOGUE, record) == []


def test_inotify_runs_out_of_watches_not_of_disk() -> None:
    found = symptoms(CATALOGUE, kubelet_says("inotify_add_watch /x: no space left on device"))
    assert [fact.detail["cause"] for fact in found] == ["config_mismatch"]


def test_a_rule_that_knows_the_line_speaks_alone() -> None:
    line = "blk_update_request: I/O error, dev sdb, sector 1234 op 0x0:(READ) flags 0x0"
    fields = {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0"}
    facts = CATALOGUE.facts(Record(0.0, "kernel", line, fields, Trust.TRUSTED))
    assert [fact.kind for fact in facts] == [Kind.DISK_ERROR]


def test_last_words_are_read_for_the_reason_although_a_rule_knows_that_they_are_the_last() -> None:
    line = '"command failed" err="failed to run Kubelet: the seccomp setting is unsupported here"'
    facts = CATALOGUE.facts(kubelet_says(line))
    assert Kind.KUBELET_FATAL in {fact.kind for fact in facts}
    reasons = [fact for fact in facts if fact.kind is Kind.SYMPTOM]
    assert [(one.detail["cause"], one.detail["strength"]) for one in reasons] == [
        ("config_mismatch", "strong")
    ]


@given(st.lists(st.sampled_from(CASES), min_size=1, max_size=6))
def test_plain_words_alone_are_never_sure_and_open_nothing_in_a_journal(
    told: list[tuple[Cause, str]],
) -> None:
    lines = [line.format(disk="sda") for _, line in told]
    trusted = [f for one in lines for f in WORDS_ONLY.facts(kubelet_says(one, Trust.TRUSTED))]
    assert correlate(trusted).incidents == ()
    quoted = [fact for one in lines for fact in WORDS_ONLY.facts(kubelet_says(one))]
    for incident in correlate(quoted, Scope(quoted=True)).incidents:
        assert diagnose(incident).confidence < 0.8


@given(st.sampled_from(CASES), st.text(max_size=40))
def test_the_gate_never_hides_a_line_that_the_words_would_understand(
    case: tuple[Cause, str], noise: str
) -> None:
    text = f"{case[1].format(disk='sda')} {noise}"
    lowered = text.lower()
    passed = Gate(WORDS.symptoms).passed(lowered, frozenset(words_of(lowered)))
    assert set(sayings(text, passed, WORDS)) == set(sayings(text, WORDS.symptoms, WORDS))


def test_what_we_said_ourselves_is_no_evidence() -> None:
    assert OURSELVES == CONTROLLER
    catalogue = Catalogue.load()
    for made in announcements(founding(), PODS):
        event = to_core(made.body)
        assert catalogue.read(event_record(event, "events.json#1")).facts == ()
        another = {**event, "reportingComponent": "another.example.com/agent"}
        assert catalogue.read(event_record(another, "events.json#1")).facts, "but of others it is"
