"""Brings the tables up to date when the ledger is opened; only one process at a time does it."""

from sqlalchemy import Connection, inspect, text

from . import LedgerError, OutdatedError
from .database import Database
from .tables import HEAD, VERSION_TABLE

# Any number that no other program in the same PostgreSQL database is likely to lock.
ADVISORY_LOCK = 0x696D697064


def bring_up_to_date(database: Database) -> None:
    """Run the migrations that are missing; raise LedgerError where the tables are of a newer imipd."""
    with database.reading() as connection:
        if _is_current(connection, database.name):
            return
    with database.writing() as connection:
        # SQLite: BEGIN IMMEDIATE is the lock already.
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        if not _is_current(connection, database.name):
            upgrade(connection, database.name)


def is_made(database: Database) -> bool:
    """Return whether there are tables; raise OutdatedError or LedgerError where they are not of this imipd."""
    with database.reading() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return False
        if not _is_current(connection, database.name):
            raise OutdatedError(
                f"ledger {database.name}: its tables are of an older imipd. They are brought up to date when"
                " `imipd serve` or `imipd pipe` of this version runs next"
            )
    return True


def _is_current(connection: Connection, name: str) -> bool:
    if not inspect(connection).has_table(VERSION_TABLE):
        return False
    stamp = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) or ""  # noqa: S608 - our constant
    if stamp > HEAD:
        raise LedgerError(
            f"ledger {name}: its tables are of a newer imipd (revision {stamp}; this one knows {HEAD})."
            " Install that version again, or write another ledger.url"
        )
    return bool(stamp == HEAD)


def upgrade(connection: Connection, name: str) -> None:
    """Run the missing migrations in the transaction of `connection`, which holds the lock."""
    # Imported here: nearly every start finds the tables as they should be and is spared the cost.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "imipd.ledger:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise LedgerError(f"ledger {name}: its tables cannot be brought up to date: {error}") from error
