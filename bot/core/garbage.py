"""Python's garbage collector and an event loop that must not be held.

A full collection looks at every object there is. Most of a bot's are modules, classes and tables that
are made once and live for ever, and looking at them all holds the loop for a tenth of a second.
"""

from __future__ import annotations

import gc


def spare_what_is_loaded() -> None:
    """Let later collections pass over everything that exists now. Call it once, before the loop starts."""
    gc.collect()
    gc.freeze()
