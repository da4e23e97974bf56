"""How a migration runs: on the connection it is given, one transaction a revision, never for long.

A migration that waits for a lock stops everybody who queues behind it, so it gives up instead and
is run again.
"""

from alembic import context
from sqlalchemy import text

from crossdock.db.schema import SCHEMA
from crossdock.schema import metadata

LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "15min"


def run() -> None:
    """Run the revisions that the caller asked for."""
    connection = context.config.attributes["connection"]
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
