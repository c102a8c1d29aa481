"""A base backup that yields to the workload.

    sensor (probe, PSI, own progress) -> law -> actuator (pace of the socket) -> published backup

``sensors`` ask the runtime or the disk at random moments and read the kernel's pressure totals;
``calm`` knows what their answers are like when the backup stands aside. Every 50 ms ``governor``
makes one Reading of that and asks ``law``, which is pure; the rate it allows goes to ``pace``,
which blocks whoever reads the server's socket, and a blocked socket stops the walsender. ``guards``
watch deadline and WAL and say early what cannot be met. ``plant`` and ``rig`` are the same disk and
the same loop, simulated. Start reading at ``law.py``.
"""
