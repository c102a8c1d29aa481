"""Bundles: whole, partial, in every form, of one node or of two."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.model import BlindSpot, Kind, Probe, Record
from agent.recorder.ring import RingWriter
from agent.sources.bundle import BUNDLE_SCHEMA, open_bundle
from agent.sources.file_kinds import FileKind, kind_of_file
from tests.bundle_parts import (
    JOURNAL,
    NODE,
    PARTS,
    POD,
    blind,
    folder,
    records,
    tar_gzipped,
    tar_zstd,
    tarred,
    zipped,
)


@pytest.mark.parametrize("pack", [folder, zipped, tarred, tar_gzipped, tar_zstd])
def test_every_form_of_a_bundle_is_the_same_bundle(
    tmp_path: Path, pack: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    bundle = open_bundle(pack(tmp_path / "b", PARTS))
    assert [record.message for record in records(bundle)] == ["first", "last", ""]
    assert bundle.node == "node-1"
    assert [pod.name for pod in bundle.pods] == ["web-1"]
    assert [fact.kind for fact in bundle.pod_facts] == [Kind.CONTAINER_OOM]
    assert [fact.kind for fact in bundle.node_facts] == [Kind.NODE_READY]
    assert (len(bundle.samples), len(bundle.probes)) == (1, 1)
    assert bundle.window == (1795434346.0, 1795434400.0)
    assert blind(bundle) == ""
    assert bundle.missing == []
    bundle.close()


def test_records_can_be_streamed_again_and_filtered(tmp_path: Path) -> None:
    bundle = open_bundle(tarred(tmp_path / "b.tar", PARTS))
    first, second = bundle.records(), bundle.records(lambda raw: b"=last" in raw)
    assert [one.message for one in second if isinstance(one, Record)] == ["last", ""]
    assert len(list(first)) == 3
    assert bundle.window == (1795434346.0, 1795434400.0)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    bundle = open_bundle(folder(tmp_path / "b", {"journal.export": JOURNAL}))
    assert len(bundle.missing) == 5
    assert bundle.node == "node-1"
    only_events = open_bundle(folder(tmp_path / "c", {"e.json": PARTS["events.json"]}))
    assert "journal of the node" in only_events.missing
    assert only_events.window == (1795434396.0, 1795434396.0)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("whatever.bin", JOURNAL),
        ("j.json", b'{"__REALTIME_TIMESTAMP":"1795434346000000","MESSAGE":"first"}\n'),
        ("x.txt", b"2026-11-23T11:45:46Z h kubelet[1]: first\n"),
        ("x.txt", "2026-11-23T11:45:46Z h kubelet[1]: first\r\n".encode("utf-16")),
        ("j.export.gz", gzip.compress(JOURNAL)),
    ],
)
def test_a_single_file_is_known_by_its_content(tmp_path: Path, name: str, raw: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    bundle = open_bundle(path)
    assert records(bundle)[0].message == "first"
    assert bundle.window[0] == 1795434346.0


def test_ages_count_from_the_time_given(tmp_path: Path) -> None:
    path = tmp_path / "events.txt"
    path.write_text("25m  Warning  BackOff  pod/web-1  Back-off restarting failed container\n")
    (record,) = records(open_bundle(path, now_s=10_000.0))
    assert record.at_s == 10_000 - 25 * 60


@pytest.mark.parametrize(
    ("change", "both"),
    [
        ({"meta.json": b'{"node": "other"}'}, ("node-1", "other")),
        (
            {
                "nodes.json": json.dumps(
                    {**NODE, "metadata": {"name": "other"}, "status": {}}
                ).encode()
            },
            ("node-1", "other"),
        ),
        (
            {
                "pods.json": json.dumps({**POD, "spec": {"nodeName": "other"}}).encode(),
                "nodes.json": b'{"kind":"List","items":[]}',
            },
            ("node-1", "other"),
        ),
    ],
)
def test_parts_of_two_nodes_are_both_named(
    tmp_path: Path, change: dict[str, bytes], both: tuple[str, str]
) -> None:
    said = blind(open_bundle(folder(tmp_path / "b", {**PARTS, **change})))
    assert "the journal is of" in said
    assert all(name in said for name in both)


def test_a_host_name_with_its_domain_is_the_same_node(tmp_path: Path) -> None:
    long_name = JOURNAL.replace(b"=node-1", b"=NODE-1.example.org")
    assert blind(open_bundle(folder(tmp_path / "b", {**PARTS, "journal.export": long_name}))) == ""


def test_facts_of_other_nodes_are_not_ours(tmp_path: Path) -> None:
    elsewhere = {**POD, "spec": {"nodeName": "node-2"}, "metadata": {"name": "x", "uid": "u2"}}
    other = {**NODE, "metadata": {"name": "node-2"}, "status": {"conditions": [{"type": "Ready"}]}}
    parts = {
        **PARTS,
        "pods.json": json.dumps([POD, elsewhere]).encode(),
        "nodes.json": json.dumps([other, NODE]).encode(),
    }
    bundle = open_bundle(folder(tmp_path / "b", parts))
    assert len(bundle.pods) == 2
    assert {fact.subject.name for fact in bundle.pod_facts} == {"web-1"}
    assert {fact.subject.name for fact in bundle.node_facts} == {"node-1"}


def test_pods_that_are_gone_are_known_from_a_listing_before(tmp_path: Path) -> None:
    gone = {**POD, "metadata": {"name": "gone", "namespace": "shop", "uid": "u9"}}
    parts = {**PARTS, "pods-before.json": json.dumps([POD, gone]).encode()}
    bundle = open_bundle(folder(tmp_path / "b", parts))
    assert [pod.name for pod in bundle.pods] == ["web-1", "gone"]
    assert len(bundle.pod_facts) == 1


def test_blind_spots_of_the_collector_are_passed_on(tmp_path: Path) -> None:
    meta = {"schema": BUNDLE_SCHEMA, "blind": [{"source": "journal", "why": "rotated", "from": 5}]}
    parts = {**PARTS, "meta.json": json.dumps(meta).encode()}
    assert BlindSpot("journal", "rotated", 5.0) in open_bundle(folder(tmp_path / "b", parts)).blind


def test_notes_beside_a_journal_are_no_evidence() -> None:
    assert kind_of_file("README.txt", PARTS["README.txt"]) is FileKind.TEXT


def test_the_recorders_ring_is_read(tmp_path: Path) -> None:
    path = folder(tmp_path / "b", {"journal.export": JOURNAL})
    writer = RingWriter(path / "recorder.ring", 1 << 20)
    writer.add_probe(Probe(1795434346.0, "docker ps", 12.0, answered=True))
    writer.close()
    bundle = open_bundle(path)
    assert [probe.took_s for probe in bundle.probes] == [12.0]
    (path / "recorder.ring").write_bytes(b"KNOCKON RING 1\n\0 and then nothing")
    assert "recorder.ring" in blind(open_bundle(path))


@pytest.mark.shared
def test_the_recordings_are_whole_bundles(shared: Path) -> None:
    for path in sorted((shared / "recordings").iterdir()):
        if path.is_dir():
            bundle = open_bundle(path)
            assert records(bundle)
            assert bundle.node == "lab-node-1"
            assert blind(bundle) == ""
            assert bundle.missing == [] or len(bundle.missing) == 2
