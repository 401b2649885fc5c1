"""What undo needs of an entry, and what counts the changes of one originator."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("entry", sa.Column("displaced", sa.Text(), nullable=False, server_default=""))
    op.add_column("entry", sa.Column("written", sa.LargeBinary(), nullable=True))
    op.add_column("entry", sa.Column("etag", sa.Text(), nullable=False, server_default=""))
    op.add_column("entry", sa.Column("undoes", sa.BigInteger(), nullable=True))
    op.add_column("entry", sa.Column("undone", sa.Boolean(), nullable=False, server_default=sa.false()))
    # PostgreSQL takes no index row over 2704 bytes, and originators were not shortened until now.
    op.execute("UPDATE entry SET originator = substr(originator, 1, 80) || '…' WHERE length(originator) > 400")
    op.create_index("entry_applied", "entry", ["account", "originator", "time"])
