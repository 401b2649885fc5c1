"""How a SQLite file is used, whichever driver opens it, and what its errors mean to an operator."""

import sqlite3
import time

BUSY_SECONDS = 15.0
"""How long a writer waits for the other writers of a SQLite file."""

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


def prepare(connection: sqlite3.Connection) -> None:
    """Set a new connection to lose nothing."""
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


def words(cause: BaseException, said: str | None = None, otherwise: str = "") -> str:
    """Return what the driver says, on one line, and what to do."""
    text = said or (str(cause.args[0]) if cause.args else type(cause).__name__)
    # The low byte is the kind of error, the rest its circumstances (sqlite.org/rescode.html).
    kind = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return f"{' '.join(text.split())}. {HINTS.get(kind, otherwise)}".strip()
