"""A worker killed around COMMIT: what it was given comes again, and has one effect."""

import pytest

from crossdock.inbound.persist import Persister, Redelivered, Stored
from tests.beds.doomed import Moment, doom, kill
from tests.beds.world import Destination, World, fresh, tenant


@pytest.mark.parametrize("moment", ["midway", "before_commit", "after_commit"])
async def test_a_killed_worker_leaves_all_or_nothing(
    world: World, persister: Persister, moment: Moment
) -> None:
    tenants = [tenant(Destination(fresh())) for _ in range(20)]
    await world.add(*tenants)
    batch = [
        world.webhook(one, dedupe=None if at % 5 == 0 else b"") for at, one in enumerate(tenants)
    ]
    owners = [one.id for one in tenants]
    await kill(doom(world.settings, moment, batch))
    committed = moment == "after_commit"
    for table in ("events", "deliveries"):
        found = await world.count(table, "tenant_id = ANY ($1)", owners)
        assert found == (len(batch) if committed else 0)
    done = await persister.persist(batch)
    outcome = Redelivered if committed else Stored
    assert done.outcomes == [outcome(one.event_id) for one in batch]
    for table in ("events", "deliveries"):
        assert await world.count(table, "tenant_id = ANY ($1)", owners) == len(batch)
    if committed:  # the dead worker's lease runs out by itself
        assert await world.count(
            "deliveries",
            "tenant_id = ANY ($1) AND state = 'pending' AND due_at < now() + interval '61 s'",
            owners,
        ) == len(batch)
