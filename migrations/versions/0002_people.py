"""People and their rights, plans and quotas, shards.

Revision: 0002
"""

from alembic import op

from migrations.second import functions, rights, tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (*tables.STATEMENTS, *functions.STATEMENTS, *rights.statements()):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    message = "It holds who may do what; restore a backup to go back."
    raise NotImplementedError(message)
