"""Statements on sources, each inside one tenant's transaction."""

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, Select, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import ids
from crossdock.db.pages import newest_first
from crossdock.errors import Conflict
from crossdock.inbound.model import Recipe, Source
from crossdock.inbound.tables import releases, sources
from crossdock.paging import Window
from crossdock.secrets.model import SealedSecret

Connection: TypeAlias = AsyncConnection
"""For callers who only pass it on."""


async def add_source(conn: AsyncConnection, source: Source) -> bool:
    """Insert a source and tell whether its name was free."""
    statement = (
        insert_or(sources)
        .values(**_columns(source))
        .on_conflict_do_nothing(
            # Written out: with a parameter, a generic plan could not prove that the index fits.
            index_elements=["tenant_id", "name"],
            index_where=text("state <> 'deleted'"),
        )
        .returning(sources.c.id)
    )
    return (await conn.execute(statement)).one_or_none() is not None


async def add_own_source(conn: AsyncConnection, source: Source) -> bool:
    """Insert a tenant's own source and tell whether it had none, and the name was free."""
    statement = insert_or(sources).values(**_columns(source)).on_conflict_do_nothing()
    return (await conn.execute(statement.returning(sources.c.id))).one_or_none() is not None


async def own_source(conn: AsyncConnection, tenant_id: UUID) -> Source | None:
    """Return the source through which a tenant publishes itself."""
    query = _living(tenant_id).where(sources.c.scheme == "api")
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _source(row)


async def add_release(conn: AsyncConnection, tenant_id: UUID, source_id: UUID) -> None:
    """Ask the workers to deliver what a source held back."""
    row = {"tenant_id": tenant_id, "id": ids.new(), "source_id": source_id}
    await conn.execute(insert(releases).inline().values(row))


async def page_sources(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[Source]:
    """Return sources, newest first."""
    query = _living(tenant_id)
    rows = await conn.execute(newest_first(query, sources.c.id, window))
    return [_source(row) for row in rows.mappings()]


async def get_source(conn: AsyncConnection, tenant_id: UUID, source_id: UUID) -> Source | None:
    """Return one source."""
    query = _living(tenant_id).where(sources.c.id == source_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _source(row)


async def lock_source(conn: AsyncConnection, tenant_id: UUID, source_id: UUID) -> Source | None:
    """Return one source, held against other writers until the transaction ends."""
    query = _living(tenant_id).where(sources.c.id == source_id).with_for_update()
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _source(row)


async def save_source(conn: AsyncConnection, source: Source) -> None:
    """Write a source that was locked before.

    Raises:
        Conflict: another source has its name.
    """
    statement = (
        update(sources)
        .where(sources.c.tenant_id == source.tenant_id, sources.c.id == source.id)
        .values(**_columns(source))
    )
    try:
        await conn.execute(statement)
    except IntegrityError as error:
        raise Conflict("Another source has that name.") from error


def _living(tenant_id: UUID) -> Select[Any]:
    return select(sources).where(sources.c.tenant_id == tenant_id, sources.c.state != "deleted")


def _columns(source: Source) -> dict[str, Any]:
    """Return a source as its row; its recipe is then complete but for the secrets."""
    fields = msgspec.structs.asdict(source)
    fields["recipe"] = {"scheme": source.scheme, **msgspec.to_builtins(source.recipe)}
    fields["secrets"] = msgspec.to_builtins(source.secrets)
    for name in ("content_types", "indexed_fields"):
        fields[name] = list(fields[name])
    return fields


def _source(row: RowMapping) -> Source:
    fields = dict(row)
    recipe = {name: value for name, value in fields["recipe"].items() if name != "scheme"}
    fields["recipe"] = msgspec.convert(recipe, Recipe)
    fields["secrets"] = msgspec.convert(fields["secrets"], tuple[SealedSecret, ...])
    for name in ("content_types", "indexed_fields"):
        fields[name] = tuple(fields[name])
    return Source(**fields)
