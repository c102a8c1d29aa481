"""Who gets woken, and what they do next.

``thresholds`` and one module per subject (``incidents``, ``pressure``, ``agent``, ``backup``) say
what is alerted; ``dashboards`` what is drawn. ``python -m alerts`` writes both to ``generated/``,
where they are committed, and with ``--values FILE`` elsewhere with thresholds of your own.
"""
