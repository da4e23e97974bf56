"""What was held or quarantined goes on its way: deliveries are made, and consumers told.

Owners ask by a row of `releases`: for one quarantined event, or for all that a source held while it
was paused. A worker takes them tenant by tenant, in turns, a batch each, oldest events first. One
batch is one transaction, as the role `ingest`, bound by policy to its tenant:

1. hold the rows of `releases`, so that no other worker has them;
2. change the events' status, which only one transaction ever can, and match them;
3. insert their deliveries, due now and leased to nobody; what is ordered waits for its turn;
4. announce the events, and wait for the broker's word;
5. commit.

A crash before the commit leaves all as it was, but for what was announced, and will be again.
"""

from crossdock.inbound.release.service import Releaser

__all__ = ["Releaser"]
