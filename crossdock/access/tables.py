"""Tables of API keys."""

from typing import Final

from sqlalchemy import Column, ForeignKeyConstraint, LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY

from crossdock.db.schema import key, moment, tenant_table

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
    ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"]),
    audit="full",
)
"""A key's text carries its tenant's id, so it is looked up inside that tenant."""
