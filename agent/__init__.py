"""What happened on this node, and why.

Data flows one way, and the packages are named for it:

    sources, journal, recorder, kube    what was said and measured     -> Record, Sample, Probe
    rules                               what of it matters, and who said it      -> Fact
    diagnosis                           what belongs together, and what it means -> Diagnosis
    report                              what people read
    daemon, commands                    the node agent, and what people type

Everything from ``rules`` to ``report`` is pure: time is always an argument. Start reading at
``model.py``, then one folder of ``tests/stories``, then ``commands/why.py``.
"""

__version__ = "0.1.0"
