"""Snapshots as the database has them now: one way to read them, for drainers and for gateways."""

from collections.abc import AsyncIterator, Collection, Iterable
from typing import Final
from uuid import UUID

from crossdock.inbound.snapshots import Snapshots, snapshots
from crossdock.outbox import store
from crossdock.outbox.store import Change, Connection

PAGE: Final = 2000


async def of_changes(connection: Connection, changes: Iterable[Change]) -> Snapshots:
    """Return the snapshots of all that these changes are about.

    They are read after the changes were, so each is as new as its change or newer.
    """
    keys: dict[str, set[str]] = {topic: set() for topic in store.TOPICS}
    for change in changes:
        keys[change.topic].add(change.key)
    found: Snapshots = {}
    if keys["token"]:
        found |= await of_tokens(connection, keys["token"])
    if keys["source"] or keys["tenant"]:
        sources, tenants = set(map(UUID, keys["source"])), set(map(UUID, keys["tenant"]))
        found |= snapshots(await store.sources_by_id(connection, sources, tenants))
    return found


async def of_tokens(connection: Connection, digests: Collection[str]) -> Snapshots:
    """Return the snapshots of these tokens, by digest in hex; some may be gone."""
    found: Snapshots = {}
    wanted = sorted(digests)
    for first in range(0, len(wanted), PAGE):
        some = wanted[first : first + PAGE]
        rows = await store.sources_by_token(connection, list(map(bytes.fromhex, some)))
        found |= snapshots(rows, also=some)
    return found


async def of_all(connection: Connection) -> AsyncIterator[Snapshots]:
    """Yield the snapshots of all sources there are, page by page."""
    after = b""
    while rows := await store.sources_after(connection, after, PAGE):
        yield snapshots(rows)
        after = rows[-1]["token_hash"]
