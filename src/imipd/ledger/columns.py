"""The ledger's column types: they bring what a mail may hold into one form that both databases take.

The rule here: no value from a mail may make a row unwritable. Such a mail would be deferred for ever.
"""
# ruff: noqa: ARG002 - SQLAlchemy hands every conversion the dialect; ours are the same for both.

from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

# PostgreSQL refuses an index row over 2704 bytes, and the widest key has four names in it.
NAME_BYTES = 400


def in_utc(moment: datetime) -> datetime:
    """Return `moment` in UTC; one without a zone is UTC already, as DTSTAMP must be (RFC 5545 §3.8.7.2)."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # A Date header may name the first or the last day that Python knows, and an offset that leads beyond.
        return moment.replace(tzinfo=UTC)


def writable(text: str) -> str:
    """Return `text` without NUL and lone surrogates, which PostgreSQL and UTF-8 refuse."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def short(text: str) -> str:
    """Return `text`, or where it is too long for an index its beginning and its SHA-256."""
    if len(text.encode()) <= NAME_BYTES:
        return text
    return f"{text[:80]}…{sha256(text.encode()).hexdigest()}"


class Words(TypeDecorator[str]):
    """Text of any length."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else writable(value)


class Name(TypeDecorator[str]):
    """Text that rows are found by."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else short(writable(value))


class Moment(TypeDecorator[datetime]):
    """A time, kept as UTC without a zone in both databases and returned with it."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else in_utc(value).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)
