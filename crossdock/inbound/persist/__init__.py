"""From INGEST to PostgreSQL: a batch of many tenants' webhooks becomes events and deliveries.

One transaction a batch, as the role `crossdock_ingest`, bound by policy to the batch's tenants:

1. which of the tenants are here, and where their events go (`store.routes`): filters are judged in
   a thread before anything is locked (`matching`);
2. claim the dedupe keys (`store.claim`): what is not claimed was here before (`store.owners`);
3. insert the new events, what they are found by, and their deliveries, leased to the process that
   persists them; what is held or quarantined has none yet (`crossdock.inbound.release`);
4. write down under which other ids duplicates were answered (`store.add_aliases`).

A message that comes again after a crash finds its own id in the ledger: it is `Redelivered`, has
its deliveries already, and nothing happens twice.
"""

from crossdock.inbound.persist.model import (
    Arrival,
    Duplicate,
    Outcome,
    Persisted,
    Poison,
    Redelivered,
    Stored,
)
from crossdock.inbound.persist.service import Persister, decode

__all__ = [
    "Arrival",
    "Duplicate",
    "Outcome",
    "Persisted",
    "Persister",
    "Poison",
    "Redelivered",
    "Stored",
    "decode",
]
