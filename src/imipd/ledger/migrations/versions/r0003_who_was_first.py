"""Who first brought an event, beside each revision of its Organizer."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("revision", sa.Column("first", sa.Text(), nullable=True))
