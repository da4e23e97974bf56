"""Bodies too large for a message: kept in the broker's object store until they are persisted.

A gateway stores the body first, under its event's id, and then publishes the message that says so
(`IngestedV1.claim`): a claim check. So a message's body is always there, and a body without a
message is what a crash in between left behind: `Bodies.sweep` finds those.

For workers, `Bodies`:

- `fetch(claim)` returns the bytes, checked against their digest. `BodyGone`: the message was
  handled before (its acknowledgement was lost, or came late), so whoever gets this looks whether
  the event is stored; if it is, the message is done with, and if not, it is poison.
- `delete(claims)` after the acknowledgement was sent. It never raises for what is gone already.
- `sweep()` by maintenance, now and then; returns how many it removed.

All raise `BrokerUnavailable` while the broker is away. A gateway's side is
`crossdock.bus.objects.ObjectWriter`.
"""

from crossdock.bus.objects import BodyGone
from crossdock.inbound.bodies.service import MARGIN_S, Bodies

__all__ = ["MARGIN_S", "Bodies", "BodyGone"]
