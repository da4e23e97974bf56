"""Stored events, matched anew to destinations as they are now: for replays, and to say why not.

What is judged is `crossdock.routing`'s business; this reads events from their rows, a few megabytes
of bodies at a time, and opens those that are sealed.
"""

from crossdock.delivery.matching.model import Occurrence
from crossdock.delivery.matching.service import judge_stored, subject_of

__all__ = ["Occurrence", "judge_stored", "subject_of"]
