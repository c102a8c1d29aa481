"""A base backup that yields to the workload.

    sensor (probe, PSI, own progress) -> law -> actuator (pace of the socket) -> published backup

    law         from a reading to a rate; pure
    simulation  the same law on a simulated disk
    sensors     what the runtime, the disk and the kernel's pressure totals answer
    governor    every 50 ms one Reading, one step of the law, one rate for the pacer
    levers      control groups, priorities: what bites on this node and what does not
    postgres    replication protocol, WAL, manifest, refusals
    store       objects, parts, compression, seal, lock
    run         `backup run`: one governed backup, published last
    foreign     `backup exec`: the same brake around a tool of somebody else's
    restore, upkeep   the way back; list, checks, prune

The allowed rate blocks whoever reads the server's socket, and a blocked socket stops the walsender.
Start reading at ``law/law.py``, then ``governor.py``, then ``run/run.py``.
"""
