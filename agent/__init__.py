"""What happened on this node, and why.

Data flows one way:

    source -> Record -> rules -> Fact -> correlate -> Incident -> diagnose -> Diagnosis -> report

``records`` come from files or a live journal, ``rules`` turn what was said into Facts, ``correlate``
puts Facts that belong together into an Incident, ``causes`` hold one hypothesis each, and ``diagnose``
ranks them. Everything between the sources and the report is pure: time is always an argument.
Start reading at ``model.py``, then one folder of ``tests/stories``, then ``why.py``.
"""

__version__ = "0.1.0"
