"""Webhooks that a source refused: the last few, for its owner to see why, and how many there were.

A gateway notes them in memory (`Recorder`) and writes them down every few seconds, whatever becomes
of it: nobody waits for it, and nothing rests on it. `Refusals` reads.
"""

from crossdock.inbound.refusals.model import Refusal, RefusalCount
from crossdock.inbound.refusals.recorder import Recorder
from crossdock.inbound.refusals.service import Refusals, Writer

__all__ = ["Recorder", "Refusal", "RefusalCount", "Refusals", "Writer"]
