"""Where calendar objects were seen."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "collection",
        sa.Column("number", number, primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("name", name="collection_name"),
    )
    op.create_table(
        "seen",
        sa.Column("collection", number, sa.ForeignKey("collection.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("path", sa.Text(), primary_key=True),
        sa.Column("uid", sa.Text(), primary_key=True),
        sa.Column("etag", sa.Text(), nullable=False),
    )
    op.create_index("seen_uid", "seen", ["collection", "uid"])
