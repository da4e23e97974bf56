"""Tables of shards and of placements; those of the control database, shard 0, are the true ones."""

from typing import Final

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from crossdock.db.schema import metadata, moment, one_of

shards: Final = Table(
    "shards",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    moment("created_at", now=True),
    UniqueConstraint("name"),
    one_of("state", "open", "closed"),
    info={"audit": "none: operators' work, by the command line only", "control": True},
)
"""`url` is empty for shard 0, which is where the settings say; a closed one gets no new tenants."""

placements: Final = Table(
    "placements",
    metadata,
    Column("tenant_id", Uuid, primary_key=True, nullable=False),
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("tier", Text, nullable=False, server_default="shared"),
    moment("created_at", now=True),
    ForeignKeyConstraint(["shard"], ["crossdock.shards.id"]),
    UniqueConstraint("slug"),
    Index(None, "shard"),
    Index("placements_dedicated_idx", "tenant_id", postgresql_where=text("tier = 'dedicated'")),
    one_of("tier", "shared", "dedicated"),
    info={
        "tenant": "tenant_id",
        "audit": "none: it follows the tenant, which is audited",
        "global_unique": {"placements_slug_key": "slugs are names in the installation's addresses"},
        "control": True,
    },
)
"""Where each tenant lives."""
