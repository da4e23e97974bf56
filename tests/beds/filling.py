"""Rows for every table of tenants that the metadata knows, whatever it will know later."""

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import Column, Table, types
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crossdock import ids
from crossdock.schema import metadata


def _bytes() -> bytes:
    return os.urandom(16)


VALUES: Final[dict[type[Any], Callable[[], Any]]] = {
    types.Uuid: ids.new,
    types.Text: lambda: f"x{os.urandom(8).hex()}",
    types.DateTime: lambda: datetime.now(UTC),
    types.Date: lambda: date(2026, 1, 1) + timedelta(days=os.urandom(1)[0]),
    types.Boolean: lambda: False,
    types.Float: lambda: 1.0,
    types.Integer: lambda: 1,
    ARRAY: list,
    JSONB: lambda: "{}",
}
"""By the type of a column; what is none of these is kept as bytes."""

SPECIAL: Final[dict[str, Any]] = {"audit.actor_kind": "system"}
"""Words that a table's rules ask for, and that have no default."""
NEEDED: Final = frozenset({"releases.source_id"})
"""Columns that may be empty, but not all of their kind in one row."""


def tables() -> list[Table]:
    """Return the tables with rows of tenants, those first that others refer to."""
    return [
        table
        for table in metadata.sorted_tables
        if table.info.get("tenant") == "tenant_id" and not table.info.get("control")
    ]


async def fill(admin: asyncpg.Connection, tenant_id: UUID, rows: int = 1) -> None:
    """Put rows into every table of a tenant's, as a superuser."""
    for _ in range(rows):
        made: dict[str, Any] = {"tenants.id": tenant_id}
        for table in tables():
            values = {
                column.name: _value(column, tenant_id, made)
                for column in table.columns
                if column.identity is None and not _is_left_out(column)
            }
            made |= {f"{table.name}.{name}": value for name, value in values.items()}
            places = ", ".join(f"${n}" for n in range(1, len(values) + 1))
            await admin.execute(
                f"INSERT INTO crossdock.{table.name} ({', '.join(values)}) VALUES ({places})"  # noqa: S608
                " ON CONFLICT DO NOTHING",
                *values.values(),
            )


async def counts(admin: asyncpg.Connection, tenant_id: UUID) -> dict[str, int]:
    """Return how many rows a tenant has in each table."""
    return {
        table.name: await admin.fetchval(
            f"SELECT count(*) FROM crossdock.{table.name} WHERE tenant_id = $1",  # noqa: S608
            tenant_id,
        )
        for table in tables()
    }


def _is_left_out(column: Column[Any]) -> bool:
    if f"{column.table.name}.{column.name}" in NEEDED:
        return False
    is_optional = bool(column.nullable) and not column.foreign_keys
    return column.server_default is not None or is_optional


def _value(column: Column[Any], tenant_id: UUID, made: dict[str, Any]) -> Any:
    name = f"{column.table.name}.{column.name}"
    if column.name == "tenant_id":
        return tenant_id
    if name in SPECIAL:
        return SPECIAL[name]
    for foreign in column.foreign_keys:
        return made[foreign.target_fullname.removeprefix("crossdock.")]
    kinds = (make for kind, make in VALUES.items() if isinstance(column.type, kind))
    return next(kinds, _bytes)()
