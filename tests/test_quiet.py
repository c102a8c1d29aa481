"""Ordinary noise, with the words that fool a keyword search in it, is no incident."""

from __future__ import annotations

from bench.quiet import bench


def test_ordinary_noise_opens_no_incident_and_forgeries_are_counted() -> None:
    incidents, spoofed, _ = bench(smoke=True)
    assert incidents.value == "0", incidents.note
    assert int(spoofed.value.replace(",", "")) > 0
