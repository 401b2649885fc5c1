"""The ledger's column types: they bring what a mail may hold into one form that both databases take.

The conversions are in `forms`.
"""
# ruff: noqa: ARG002 - SQLAlchemy hands every conversion the dialect; ours are the same for both.

from datetime import UTC, datetime

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from .forms import in_utc, short, writable


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
