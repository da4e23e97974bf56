"""Keys whose time is up go in batches, whosever they are."""

from uuid import UUID

from crossdock.idempotency import store
from crossdock.idempotency.expiry import forget_expired
from tests.beds.world import tenant
from tests.integration.idempotency.conftest import ANSWER, Bed, never

_ADD = """
INSERT INTO crossdock.idempotency_keys (tenant_id, digest, fingerprint, expires_at)
SELECT $1, sha256(n::text::bytea), 'f', now() + $3 * interval '1 second'
FROM generate_series(1, $2) AS n
"""


async def add(bed: Bed, tenant_id: UUID, keys: int, ends_in_s: float) -> None:
    """Put keys of a tenant that end so soon."""
    await bed.world.admin.execute(_ADD, tenant_id, keys, ends_in_s)


async def test_they_go_in_batches_and_others_stay(bed: Bed) -> None:
    other = tenant()
    await bed.world.add(other)
    await add(bed, bed.tenant_id, 250, -1.0)
    await add(bed, other.id, 30, 3600.0)
    kept = bed.claim()
    await bed.service().atomic(kept, bed.making("a"))
    database = bed.databases.shard(0)

    async with database.maintenance() as conn:
        assert await store.expire(conn, 100) == 100
    assert await forget_expired(database, batch=100) == 150
    assert await forget_expired(database, batch=100) == 0

    left = "SELECT count(*) FROM crossdock.idempotency_keys WHERE tenant_id = $1"
    assert await bed.world.admin.fetchval(left, bed.tenant_id) == 1
    assert await bed.world.admin.fetchval(left, other.id) == 30
    assert await bed.service().atomic(kept, never) == ANSWER


async def test_one_that_was_claimed_anew_meanwhile_stays(bed: Bed) -> None:
    claim = bed.claim()
    await bed.service().atomic(claim, bed.making("a"))
    await bed.world.admin.execute(
        "UPDATE crossdock.idempotency_keys SET expires_at = now() - interval '1 s'"
        " WHERE digest = $1",
        claim.digest,
    )
    assert await bed.service().atomic(claim, bed.making("b")) is None
    assert await forget_expired(bed.databases.shard(0)) == 0
    assert await bed.service().atomic(claim, never) == ANSWER
