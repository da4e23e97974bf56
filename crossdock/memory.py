"""The garbage collector of a process that makes many objects and hardly any cycles.

Reference counts free what requests and deliveries leave behind. The collector looks for cycles, and
at the interpreter's pace it looks through all that is in flight, again and again: a tenth of an
ingest's time, a fifth of a delivery's.
"""

import gc
from typing import Final

COLLECT_AFTER: Final = 25_000
"""Objects made since the last collection of the youngest; the interpreter's own is 700."""


def settle_memory() -> None:
    """Call once everything is open: what is there now stays, so no collection looks at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
