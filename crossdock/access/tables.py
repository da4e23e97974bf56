"""Tables of API keys, custom roles, invitations and operators' support access."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from crossdock.db.schema import key, moment, tenant_table


def _of_tenant() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"])


api_keys: Final = tenant_table(
    "api_keys",
    key(),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("permissions", ARRAY(Text), nullable=False),
    moment("created_at", now=True),
    moment("expires_at", nullable=True),
    moment("last_used_at", nullable=True),
    moment("revoked_at", nullable=True),
    Column("created_by", Uuid),
    Column("rotated_to", Uuid),
    Column("requests_per_minute", Integer),
    _of_tenant(),
    CheckConstraint("requests_per_minute > 0", name="requests_per_minute"),
    audit="full",
)
"""A key's text carries its tenant's id, so it is looked up inside that tenant."""

roles: Final = tenant_table(
    "roles",
    key(),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("permissions", ARRAY(Text), nullable=False),
    Column("inherits", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("created_at", now=True),
    moment("updated_at", now=True),
    _of_tenant(),
    UniqueConstraint("tenant_id", "name"),
    audit="full",
)
"""A tenant's own roles; those that come with Crossdock are in `crossdock.access.permissions`."""

invitations: Final = tenant_table(
    "invitations",
    key(),
    Column("email", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("invited_by", Uuid),
    Column("token_hash", LargeBinary, nullable=False),
    moment("created_at", now=True),
    moment("expires_at"),
    moment("accepted_at", nullable=True),
    moment("revoked_at", nullable=True),
    _of_tenant(),
    audit="full",
)

support_accesses: Final = tenant_table(
    "support_accesses",
    key(),
    Column("operator_id", Uuid, nullable=False),
    Column("operator", Text, nullable=False),
    Column("reason", Text, nullable=False),
    moment("created_at", now=True),
    moment("ends_at"),
    moment("ended_at", nullable=True),
    Column("ended_by", Text),
    _of_tenant(),
    audit="full",
)
"""An operator inside a tenant: for a reason, until a moment, under the tenant's eyes."""
