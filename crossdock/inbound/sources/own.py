"""The source through which a tenant publishes itself: one, made when it is first needed."""

import hashlib
import os
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from crossdock import ids
from crossdock.db import Databases
from crossdock.inbound.model import Recipe, Source
from crossdock.inbound.sources import rules, store
from crossdock.outbox import store as outbox


async def own_source(database: Databases, tenant_id: UUID, make: Callable[[str], Source]) -> Source:
    """Return a tenant's own source; make it where there is none.

    It counts for no quota. Of several who ask at once, all get the same one.

    Args:
        database: where it is, opened for the role `app`.
        tenant_id: whose.
        make: returns a new one of a name.
    """
    async with database.tenant(tenant_id) as conn:
        found = await store.own_source(conn, tenant_id)
    number = 0
    while found is None:
        number += 1
        source = make(rules.OWN if number == 1 else f"{rules.OWN} {number}")
        async with database.tenant(tenant_id) as conn:
            if await store.add_own_source(conn, source):
                await outbox.add(conn, tenant_id, "source", str(source.id))
            # Somebody else was first, or another source has the name.
            found = await store.own_source(conn, tenant_id)
    return found


def doorless(tenant_id: UUID, name: str, max_body_bytes: int, now: datetime) -> Source:
    """Return a new source of one's own, made by who has no key of sources.

    Nothing comes through its door, so it has no token: the hash is of bytes that nobody knows.
    """
    return Source(
        tenant_id=tenant_id,
        id=ids.new(),
        name=name,
        scheme="api",
        state="active",
        recipe=Recipe(),
        secrets=(),
        token_hash=hashlib.sha256(os.urandom(rules.TOKEN_BYTES)).digest(),
        token_sealed=b"",
        max_body_bytes=max_body_bytes,
        version=1,
        created_at=now,
        updated_at=now,
    )
