"""Event types with schemas, what becomes of events, sealed payloads, refusals, retention's report.

Revision: 0004
"""

from alembic import op

from migrations.fourth import functions, rights, tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for statement in (*tables.STATEMENTS, *functions.STATEMENTS, *rights.statements()):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    message = "The release before this one works on this schema as well; there is no need."
    raise NotImplementedError(message)
