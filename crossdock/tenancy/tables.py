"""Tables of tenants and of this shard's own place among the shards."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from crossdock.db.schema import key, metadata, moment, one_of, tenant_table

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
    Column("plan", Text, nullable=False, server_default="standard"),
    Column("quotas", JSONB, nullable=False, server_default=text("'{}'")),
    Column("roles_version", BigInteger, nullable=False, server_default=text("0")),
    moment("not_before", nullable=True),
    Column("reason", Text),
    moment("terminate_at", nullable=True),
    moment("blocked_until", nullable=True),
    UniqueConstraint("slug"),
    one_of("state", "provisioning", "active", "suspended", "terminating", "terminated"),
    info={
        "tenant": "id",
        "audit": "full",
        "global_unique": {
            "tenants_slug_key": "written by operators only, so it tells no tenant of another"
        },
    },
)
"""One row a tenant. `crossdock_app` reads its own; what operators do goes by `operator`, inside the
tenant. `quotas` are exceptions from the plan; `not_before` ends every token made before it."""

usage_days: Final = tenant_table(
    "usage_days",
    Column("day", Date, primary_key=True, nullable=False),
    Column("events", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),
    audit="none: counters",
)
"""What a tenant was sent, by the day of UTC."""

home: Final = Table(
    "home",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("shard", Integer, nullable=False),
    CheckConstraint("one", name="one"),
    info={"audit": "none: it is written once, by the migration"},
)
"""Which shard this database is: one row, that `crossdock.enter` compares with the tenant's."""
