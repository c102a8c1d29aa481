"""What may be read now: from a reading and what is remembered to a rate. Pure.

Time is part of the reading.

Start at ``law.py``; ``state`` is what it is given and what it remembers, ``knee`` the rate at which
the disk had enough, ``volume`` what it can do in all and what the others leave of it, ``calm`` what
undisturbed answers are like, ``guards`` what lateness costs, and ``pace`` the token bucket that
turns a rate into a wait.
"""
