"""Snapshots as the database has them now: one way to read them, for drainers and for gateways."""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar
from uuid import UUID

from crossdock.outbox import snapshots, store
from crossdock.outbox.snapshots import Snapshots
from crossdock.outbox.store import Change, Connection

PAGE: Final = 2000
FEW: Final = 200
"""A page of what may be large: so many schemas are 13 MB at most."""
NIL: Final = UUID(int=0)

One = TypeVar("One")


async def of_changes(connection: Connection, changes: Iterable[Change], keep_s: float) -> Snapshots:
    """Return the snapshots of all that these changes are about.

    They are read after the changes were, so each is as new as its change or newer.

    Args:
        connection: a role that sees all tenants.
        changes: what changed.
        keep_s: how long a revocation is remembered: see `kept`.
    """
    keys: dict[str, set[tuple[UUID, str]]] = {topic: set() for topic in store.TOPICS}
    for change in changes:
        keys[change.topic].add((change.tenant_id, change.key))
    found: Snapshots = {}
    if keys["token"]:
        found |= await of_tokens(connection, {key for _, key in keys["token"]})
    tenants = {UUID(key) for _, key in keys["tenant"]}
    if keys["source"] or tenants:
        sources = {UUID(key) for _, key in keys["source"]}
        found |= snapshots.sources(await store.sources_by_id(connection, sources, tenants))
    if tenants:
        found |= await of_tenants(connection, tenants)
    if keys["type"]:
        found |= await of_types(connection, _by_id(keys["type"]))
    for some in pages(_by_id(keys["session"])):
        found |= snapshots.sessions(await store.sessions(connection, some, keep_s))
    for some in pages(_by_id(keys["user"])):
        found |= snapshots.users(await store.users(connection, some, keep_s))
    return found


def kept(access_ttl_s: float) -> float:
    """Return for how many seconds a revocation is remembered, where access tokens live so long."""
    return access_ttl_s + store.SLACK_S


async def of_keys(connection: Connection, keys: Collection[str]) -> Snapshots:
    """Return the snapshots of all but revocations by the bucket's keys; some may be gone."""
    found = await of_tokens(connection, filter(snapshots.is_token, keys))
    tenants = {tenant for key in keys if (tenant := snapshots.tenant_of(key)) is not None}
    types = {one for key in keys if (one := snapshots.type_of(key)) is not None}
    return found | await of_tenants(connection, tenants) | await of_types(connection, types)


async def of_tokens(connection: Connection, digests: Iterable[str]) -> Snapshots:
    """Return the snapshots of these tokens, by digest in hex; some may be gone."""
    found: Snapshots = {}
    for some in pages(sorted(digests)):
        rows = await store.sources_by_token(connection, list(map(bytes.fromhex, some)))
        found |= snapshots.sources(rows, also=some)
    return found


async def of_tenants(connection: Connection, tenant_ids: Collection[UUID]) -> Snapshots:
    """Return the snapshots of these tenants; some may be gone."""
    found: Snapshots = {}
    for some in pages(tenant_ids):
        found |= snapshots.tenants(await store.tenants_by_id(connection, some), also=some)
    return found


async def of_types(connection: Connection, keys: Iterable[tuple[UUID, UUID]]) -> Snapshots:
    """Return the snapshots of these event types, by their tenants' ids and their own."""
    found: Snapshots = {}
    for some in pages(keys, FEW):
        found |= snapshots.types(await store.types_by_id(connection, some), also=some)
    return found


async def of_all(connection: Connection, keep_s: float) -> AsyncIterator[Snapshots]:
    """Yield the snapshots of all that there is, page by page."""
    digest = b""
    while rows := await store.sources_after(connection, digest, PAGE):
        yield snapshots.sources(rows)
        digest = rows[-1]["token_hash"]
    tenant = NIL
    while rows := await store.tenants_after(connection, tenant, PAGE):
        yield snapshots.tenants(rows)
        tenant = rows[-1]["id"]
    event_type = (NIL, NIL)
    while rows := await store.types_after(connection, event_type, FEW):
        yield snapshots.types(rows)
        event_type = (rows[-1]["tenant_id"], rows[-1]["id"])
    yield await of_changes(connection, await store.revoked_within(connection, keep_s), keep_s)


def pages(all_of_them: Iterable[One], size: int = PAGE) -> Iterator[Sequence[One]]:
    """Cut into parts that one statement takes."""
    rest = iter(all_of_them)
    while some := list(islice(rest, size)):
        yield some


def _by_id(keys: Iterable[tuple[UUID, str]]) -> list[tuple[UUID, UUID]]:
    return [(tenant, UUID(key)) for tenant, key in keys]
