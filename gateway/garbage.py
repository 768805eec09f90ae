"""How often Python looks for garbage that points at itself. For the process as a whole; nothing else is set here.

Messages go when nobody holds them any more, without a search. Python's own figures (700, 10, 10) were made for programs
of a few objects: with a thousand events in hand, a fifth of all work was looking at them again and again.
"""

import gc

THRESHOLDS = 10_000, 20, 20  # new objects to a search of the newest, of those to one of the middle, of those to all


def look_seldom() -> None:
    """Set it, at start."""
    gc.set_threshold(*THRESHOLDS)
