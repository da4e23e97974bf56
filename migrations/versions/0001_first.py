"""The path of one webhook: tenants, sources, events, deliveries, and the ledger.

Revision: 0001
"""

from alembic import op

from migrations.first import functions, rights, tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (*tables.STATEMENTS, *functions.STATEMENTS, *rights.statements()):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    message = "There is nothing before the first revision; drop the schema by hand."
    raise NotImplementedError(message)
