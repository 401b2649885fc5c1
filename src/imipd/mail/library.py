"""The one place where an exception of the library means "cannot be read"."""

from collections.abc import Callable
from email.errors import MessageError
from typing import TypeVar

T = TypeVar("T")

# Seen with CPython 3.11.7. TypeError: `name*=` beside `name*0=` is sorted, None with 0 (email.utils.decode_params).
# LookupError, AttributeError, NameError, TypeError: broken addresses (email._header_value_parser). RecursionError:
# groups or comments within each other, in both readers of addresses. AssertionError, MessageError: encoded-words.
# ValueError: dates, numbers of 4,300 digits, base64 that is not ASCII. OverflowError: a time zone of years.
_DEFECTS = (
    *(TypeError, ValueError, LookupError, AttributeError, NameError),
    *(AssertionError, RecursionError, OverflowError, MessageError),
)


def readable(otherwise: T, reader: Callable[..., T], *arguments: object) -> T:
    """Return what `reader` reads, `otherwise` where it breaks; the input is bounded already."""
    try:
        return reader(*arguments)
    except _DEFECTS:
        return otherwise
