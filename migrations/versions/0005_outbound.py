"""Kinds of destinations with credentials and filters, deliveries in order, status, told alerts.

Revision: 0005
"""

from alembic import op

from migrations.fifth import rights, tables

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (*tables.STATEMENTS, *rights.statements()):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    message = "The release before this one works on this schema as well; there is no need."
    raise NotImplementedError(message)
