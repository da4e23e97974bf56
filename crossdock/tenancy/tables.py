"""Tables of tenants and of this shard's own place among the shards."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from crossdock.db.schema import key, metadata, moment, one_of

tenants: Final = Table(
    "tenants",
    metadata,
    key(),
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),
    Column("shard", Integer, nullable=False, server_default=text("0")),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("created_at", now=True),
    UniqueConstraint("slug"),
    one_of("state", "active", "suspended", "terminating", "terminated"),
    info={
        "tenant": "id",
        "audit": "full",
        "global_unique": {
            "tenants_slug_key": "written by operators only, so it tells no tenant of another"
        },
    },
)
"""One row a tenant. `crossdock_app` reads its own; operators' work goes by `maintenance`."""

home: Final = Table(
    "home",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("shard", Integer, nullable=False),
    CheckConstraint("one", name="one"),
    info={"audit": "none: it is written once, by the migration"},
)
"""Which shard this database is: one row, that `crossdock.enter` compares with the tenant's."""
