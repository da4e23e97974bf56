"""PostgreSQL: shards, roles, the schema's history, and the one way to a tenant's rows."""

from crossdock.db.database import Database
from crossdock.db.databases import Databases

__all__ = ["Database", "Databases"]
