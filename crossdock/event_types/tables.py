"""Tables of event types and the versions of their schemas."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Integer,
    Text,
    UniqueConstraint,
    text,
)

from crossdock.db.schema import key, moment, one_of, tenant_table

event_types: Final = tenant_table(
    "event_types",
    key(),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("mode", Text, nullable=False, server_default="off"),
    Column("compatibility", Text, nullable=False, server_default="backward"),
    Column("latest", Integer, nullable=False, server_default=text("0")),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("created_at", now=True),
    moment("updated_at", now=True),
    ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"]),
    UniqueConstraint("tenant_id", "name"),
    one_of("mode", "off", "warn", "quarantine", "reject"),
    one_of("compatibility", "none", "backward", "full"),
    audit="full",
)
"""`latest` is the number of the newest schema; 0 while there is none."""

event_type_versions: Final = tenant_table(
    "event_type_versions",
    key("event_type_id"),
    Column("number", Integer, primary_key=True, nullable=False),
    Column("schema", Text, nullable=False),
    Column("weight", Integer, nullable=False),
    moment("created_at", now=True),
    ForeignKeyConstraint(
        ["tenant_id", "event_type_id"],
        ["crossdock.event_types.tenant_id", "crossdock.event_types.id"],
        name="event_type_versions_tenant_id_fkey",
        ondelete="CASCADE",
    ),
    audit="full",
)
"""`schema` is the JSON text as it was given, `weight` about how many bytes it takes compiled."""
