"""The one metadata of all tables, and what every table says about itself.

A table's `info` carries:

- `tenant`: the column that names the tenant, or absent where a row belongs to no tenant;
- `audit`: `full`, or `none: <reason>`;
- `partitioned`: true where the table is cut into ranges of time by its id;
- `global_unique`: names of unique keys that do not lead with the tenant, each with its reason.

Tests walk it, so that a new table is held to the rules without anyone adding it to a list.
"""

from typing import Any, Final

import msgspec
from sqlalchemy import CheckConstraint, Column, DateTime, LargeBinary, MetaData, Table, Uuid, text
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator

SCHEMA: Final = "crossdock"

OWN_RECORD: Final = "none: it is its own record"
"""Why a change to a table of facts needs no audit entry."""

metadata: Final = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)


class HeaderPairs(TypeDecorator[list[tuple[str, str]]]):
    """HTTP headers as `[[name, value], …]`, kept as the bytes of their JSON.

    Not `jsonb`: nobody queries inside them, so the hot path need not have every one parsed.
    `convert_from(headers, 'UTF8')::jsonb` shows them in psql.
    """

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(
        self, value: list[tuple[str, str]] | None, dialect: Dialect
    ) -> bytes | None:
        """Encode pairs for the database."""
        del dialect
        return None if value is None else msgspec.json.encode(value)

    def process_result_value(
        self, value: bytes | None, dialect: Dialect
    ) -> list[tuple[str, str]] | None:
        """Decode pairs from the database."""
        del dialect
        return None if value is None else decode_headers(value)


_headers: Final = msgspec.json.Decoder(list[tuple[str, str]])


def encode_headers(headers: list[tuple[str, str]]) -> bytes:
    """Return headers as they are stored."""
    return msgspec.json.encode(headers)


def decode_headers(stored: bytes) -> list[tuple[str, str]]:
    """Return headers as they came."""
    return _headers.decode(stored)


def tenant_table(name: str, *items: SchemaItem, audit: str, **info: Any) -> Table:
    """Return a table whose rows belong to one tenant each: its primary key leads with it."""
    tenant: Column[Any] = Column("tenant_id", Uuid, primary_key=True, nullable=False)
    options: dict[str, Any] = {"info": {"tenant": "tenant_id", "audit": audit, **info}}
    if info.get("partitioned"):
        options["postgresql_partition_by"] = "RANGE (id)"
    return Table(name, metadata, tenant, *items, **options)


def key(name: str = "id") -> Column[Any]:
    """Return a UUID column of the primary key."""
    return Column(name, Uuid, primary_key=True, nullable=False)


def moment(name: str, *, nullable: bool = False, now: bool = False) -> Column[Any]:
    """Return a column for a point in time; `now` is its default."""
    default = text("now()") if now else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


def one_of(column: str, *values: str) -> CheckConstraint:
    """Return the rule that a column holds one of these words."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=column)
