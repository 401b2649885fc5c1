"""Run by Alembic: applies the revisions on the connection, and in the transaction, that `schema.py` holds."""

from alembic import context

from imipd.ledger.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
