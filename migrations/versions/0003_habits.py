"""Answers kept for repeated requests, and limits of sources and keys.

Revision: 0003
"""

from alembic import op

from migrations.third import functions, rights, tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (*tables.STATEMENTS, *functions.STATEMENTS, *rights.statements()):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    message = "The release before this one works on this schema as well; there is no need."
    raise NotImplementedError(message)
