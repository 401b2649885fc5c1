"""The last look at a traceback: a library may put into its error what was handed to it, a password included.

Our own texts hold none by construction, so only what others wrote is looked through.
"""

import base64
import json
import sys
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

SHORTEST = 6
"""Characters of a secret from which on it is hidden: a shorter one stands in many a word."""
VEIL = "***"

_hidden: set[str] = set()


def conceal(secrets: Iterable[str], urls: Iterable[str] = ()) -> None:
    """Hide these secrets, and the passwords in these URLs, from now on."""
    written = [secret for url in urls for secret in _written(url)]
    for secret in (*secrets, *written, *map(unquote, written)):
        if len(secret) >= SHORTEST:
            _hidden.update(_forms(secret))


def veiled(text: str) -> str:
    """Return the text without the secrets, however they are written."""
    for form in sorted(_hidden, key=len, reverse=True):
        text = text.replace(form, VEIL)
    return text


def _written(url: str) -> Iterator[str]:
    """Return the passwords of a URL; libpq takes them among its options, too (password, sslpassword)."""
    split = urlsplit(url)
    if split.password:
        yield split.password
    yield from (value for key, value in parse_qsl(split.query) if key.endswith("password"))


def _forms(secret: str) -> Iterator[str]:
    """Return how a secret may stand in a text: as it is, escaped, percent-encoded, within Base64."""
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    for written in (repr(secret), json.dumps(secret), repr(secret.encode())[1:]):
        yield written[1:-1]
    for before in range(3):
        # Where it begins within a group of three bytes, the first and last characters depend on the neighbours.
        encoded = base64.b64encode(b"\0" * before + secret.encode())
        end = (before + len(secret.encode())) // 3 * 4
        yield encoded[(0, 2, 3)[before] : end].decode()


def exception_told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as Python does at the end of a program, veiled; a `sys.excepthook`."""
    sys.stderr.write(veiled("".join(traceback.format_exception(kind, error, trace))))
