"""Opens the ledger's database, SQLite in a file or PostgreSQL, and puts its errors into words.

The rule here: whatever a driver raises leaves as `LedgerError`, and no text holds the password.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, StatementError
from sqlalchemy.pool import ConnectionPoolEntry

from . import LedgerError

BUSY_SECONDS = 15.0
"""How long a writer waits for the other writers of a SQLite file."""

POOL: dict[str, Any] = {"pool_size": 0, "pool_use_lifo": True}
"""A connection for each thread, without a limit, and kept; the last one first, whose cache is warm."""

POSTGRESQL_OPTIONS = {"connect_timeout": "10", "tcp_user_timeout": "30000", "application_name": "imipd"}

EXPECTED_URL = (
    'ledger.url: not a database that imipd knows. Write "sqlite:////var/lib/imipd/ledger.db"'
    ' or "postgresql://user:password@host/database"'
)

HINTS = {
    sqlite3.SQLITE_BUSY: f"Another process kept it locked for {BUSY_SECONDS:.0f} s: is a backup reading it?",
    sqlite3.SQLITE_CANTOPEN: "It has to be a file in a directory that imipd's user may write to.",
    sqlite3.SQLITE_CORRUPT: "Put a backup back, or move the file away: a new one is made at the next start.",
    sqlite3.SQLITE_FULL: "Make room on its disk; the mails come again.",
    sqlite3.SQLITE_IOERR: "Look after its disk and file system.",
    sqlite3.SQLITE_NOTADB: "Put a backup back, or move the file away: a new one is made at the next start.",
    sqlite3.SQLITE_PERM: "Let imipd's user write to the file and to its directory.",
    sqlite3.SQLITE_READONLY: "Let imipd's user write to the file and to its directory.",
}


@dataclass(frozen=True, slots=True)
class Database:
    """An open database: `reading` holds a connection, `writing` a transaction."""

    engine: Engine
    reader: Engine
    """The same connections, on which a statement that only reads is a transaction of its own."""
    name: str
    """As it may be shown: the file, or the server without user and password."""
    turn: "threading.Lock | None" = None
    """Held by the thread that writes, where only one can: SQLite lets the others sleep, up to a tenth of a second."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Hold a connection that only reads and keeps no writer waiting; each statement sees a state of its own.

        A transaction around one statement would cost as much again, and PostgreSQL two more journeys.
        """
        with self._worded(), self.reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Hold a transaction that is committed at the end, or on an error leaves nothing behind."""
        with self._worded(), self._alone(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other thread writes; other processes are waited for by the database itself."""
        if self.turn is None:
            yield
            return
        if not self.turn.acquire(timeout=BUSY_SECONDS):
            raise LedgerError(f"ledger {self.name}: database is locked. {HINTS[sqlite3.SQLITE_BUSY]}")
        try:
            yield
        finally:
            self.turn.release()

    @contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            raise LedgerError(f"ledger {self.name}: {_words(error)}") from error


def open_database(url: str) -> Database:
    """Return the database that `url` names; a SQLite file is made where there is none, for its owner only."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not "from error": its text may quote the URL, and with it the password.
        raise LedgerError(EXPECTED_URL) from None
    opener = OPENERS.get(parsed.get_backend_name())
    if opener is None:
        raise LedgerError(EXPECTED_URL)
    return opener(parsed)


def _sqlite(url: URL) -> Database:
    if not url.database or url.database == ":memory:" or url.query:
        # Without its query: what stands there may be meant as a password.
        raise LedgerError(f"ledger.url: sqlite:///{url.database or ''} names no file. {EXPECTED_URL}")
    _make_file(Path(url.database))
    # With isolation_level None the driver leaves BEGIN to us; by itself it would begin at the first change,
    # and two processes that have both read by then lock each other out.
    options = {"timeout": BUSY_SECONDS, "isolation_level": None}
    engine = create_engine(url, connect_args=options, hide_parameters=True, **POOL)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return Database(engine, engine.execution_options(imipd_reads=True), url.database, threading.Lock())


def _make_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise LedgerError(
            f"ledger {path}: the directory {path.parent} is missing."
            " Make it and give it to imipd's user, or write another ledger.url"
        )
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise LedgerError(f"ledger {path}: {error.strerror}. {HINTS[sqlite3.SQLITE_PERM]}") from error


def _set_pragmas(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")  # a power cut loses nothing that the MTA was told
    connection.execute("PRAGMA foreign_keys=ON")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait by itself where another process is just doing the same."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("imipd_reads", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql(url: URL) -> Database:
    name = f"postgresql://{url.host or ''}{f':{url.port}' if url.port else ''}/{url.database or ''}"
    options = {**POSTGRESQL_OPTIONS, **url.query}
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg", query=options),
            hide_parameters=True,
            pool_pre_ping=True,  # a restarted server costs one question, not a mail's delay
            **POOL,
        )
    except ImportError as error:
        raise LedgerError(f"ledger {name}: psycopg is missing. Install imipd[postgresql]") from error
    return Database(engine, engine.execution_options(isolation_level="AUTOCOMMIT"), name)


OPENERS: dict[str, Callable[[URL], Database]] = {"sqlite": _sqlite, "postgresql": _postgresql}


def _words(error: SQLAlchemyError) -> str:
    """Return what the driver says, without the statement and its parameters, and what to do."""
    cause = error.orig if isinstance(error, StatementError) and error.orig else error
    diagnosis = getattr(getattr(cause, "diag", None), "message_primary", None)  # psycopg: without DETAIL
    text = diagnosis or (str(cause.args[0]) if cause.args else type(cause).__name__)
    return f"{' '.join(text.split())}. {_hint(cause)}".strip()


def _hint(cause: BaseException) -> str:
    # The low byte is the kind of error, the rest its circumstances (sqlite.org/rescode.html).
    kind = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    lost = type(cause).__module__.startswith("psycopg") and getattr(cause, "sqlstate", None) is None
    return HINTS.get(kind, "Is the server up, and is ledger.url right?" if lost else "")
