"""The table of letters that wait to be sent."""

from typing import Final

from sqlalchemy import Column, Index, LargeBinary, SmallInteger, Text, text

from crossdock.db.schema import key, moment, one_of, tenant_table

mails: Final = tenant_table(
    "mails",
    key(),
    Column("sealed", LargeBinary),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    moment("due_at", now=True),
    moment("created_at", now=True),
    moment("sent_at", nullable=True),
    Column("last_error", Text),
    one_of("state", "waiting", "sent", "failed"),
    Index("mails_due_idx", "due_at", postgresql_where=text("state = 'waiting'")),
    audit="none: what they tell of is audited",
)
"""Sealed, for letters carry tokens; the text is gone once it is sent."""
