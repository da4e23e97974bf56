"""PostgreSQL: roles, the schema's history, partitions, and the one way to a tenant's rows."""

from crossdock.db.database import Database

__all__ = ["Database"]
