"""Python's garbage collector and an event loop that must not be held.

A full collection looks at every object there is. Most of a bot's are modules, classes and tables that
are made once and live for ever, and looking at them all holds the loop for a tenth of a second.
"""

from __future__ import annotations

import gc


def spare_what_is_loaded() -> None:
    """Let collections pass over everything that exists now; takes no time worth speaking of.

    To be called once or twice in a process, when what lives for ever has been made: what is in a circle of
    references and no longer needed at that moment is never collected.
    """
    gc.freeze()
