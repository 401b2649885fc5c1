"""The kinds of values that a setting may have, read from the way operators write them.

Each reader takes what TOML gives and raises `ValueError` whose text says what is wrong and what to write.
"""

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

from .errors import shown

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
BYTES = {"B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}
NAMES = ("user", "localpart", "domain", "address")
LONGEST = 10 * 365 * 86400

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,12}) ?(B|kB|KiB|MB|MiB|GB|GiB)")
_ADDRESS = re.compile(r"[^\s@:<>,;]+@[^\s@:<>,;]+")
_SENDER = re.compile(r"(?:\*|[^\s@:<>,;*]+)@[^\s@:<>,;*]+")
_HOST_NAME = re.compile(r"[^\s@:/<>,;]+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_HEADER = re.compile(r"[!-9;-~]+:\s*\S.*")


def from_list(value: object) -> object:
    """Return a list as the tuple that a frozen value holds."""
    return tuple(value) if isinstance(value, list) else value


def as_list(value: object) -> object:
    """Let a single string stand for a list of one."""
    return (value,) if isinstance(value, str) else from_list(value)


def separated(value: object) -> object:
    """Let a string stand for a list: no address has a comma."""
    return tuple(each.strip() for each in value.split(",")) if isinstance(value, str) else from_list(value)


def grouped(value: object) -> object:
    """Let a string stand for a list of lists: no address has a semicolon."""
    return tuple(value.split(";")) if isinstance(value, str) else from_list(value)


def duration(value: object) -> object:
    """Read ``10s``, ``500ms``, ``24h``, ``7d``."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if not 0 < seconds <= LONGEST:
        raise ValueError(f'{shown(value)} is not a duration. Write a number with its unit (ms, s, m, h, d): "10s"')
    return timedelta(seconds=seconds)


def size(value: object) -> object:
    """Read a number of bytes, or ``25 MiB``."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    number = int(match[1]) * BYTES[match[2]] if match else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f'{shown(value)} is not a size. Write a number of bytes or one with its unit: "25 MiB"')
    return number


def endpoint(value: str) -> str:
    """Accept ``host:port``, ``[::1]:port`` and ``unix:/path``."""
    if not (_is_unix(value) if value.startswith("unix:") else _is_tcp(value)):
        example = '"127.0.0.1:2424", "[::1]:2424" or "unix:/run/imipd/lmtp.sock"'
        raise ValueError(f"{shown(value)} is not a place for a socket. Write {example}")
    return value


def tcp_endpoint(value: str) -> str:
    """Accept ``host:port`` and ``[::1]:port``."""
    if not _is_tcp(value):
        raise ValueError(f'{shown(value)} is not a host and a port. Write "127.0.0.1:2480" or "[::1]:2480"')
    return value


def _is_unix(text: str) -> bool:
    path = text.removeprefix("unix:")
    # The kernel keeps 108 bytes of a socket's path, one of them its end (unix(7)).
    return path.startswith("/") and path.isprintable() and len(path.encode()) < 108


def _is_tcp(text: str) -> bool:
    match = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text)
    return match is not None and int(match[1]) <= 65535


def mail_address(value: str) -> str:
    """Accept ``local@domain``."""
    if not _ADDRESS.fullmatch(value) or not value.isprintable():
        raise ValueError(f'{shown(value)} is not an address. Write "alice@example.org"')
    return value


def sender(value: str) -> str:
    """Accept ``local@domain``, and ``*@domain`` for every address of a domain."""
    if not _SENDER.fullmatch(value) or not value.isprintable():
        raise ValueError(f'{shown(value)} is no address. Write "bob@example.net", or "*@example.net" for a domain')
    return value


def domain_name(value: str) -> str:
    """Accept the part after the @."""
    if not _HOST_NAME.fullmatch(value) or not value.isprintable():
        raise ValueError(f'{shown(value)} is not a domain. Write the part after the @: "example.org"')
    return value


def name_server(value: str) -> str:
    """Accept an IP address, with or without a port."""
    host, _, _ = value.rpartition(":")
    if not (_is_ip(value) or (_is_tcp(value) and _is_ip(host.strip("[]")))):
        raise ValueError(f'{shown(value)} is not a DNS server. Write "127.0.0.1" or "[::1]:5353"')
    return value


def _is_ip(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def header(value: str) -> str:
    """Accept ``Name: value``."""
    if not _HEADER.fullmatch(value) or not value.isprintable():
        raise ValueError(f'{shown(value)} is not a header with a value. Write "X-Spam-Flag: YES"')
    return value


def line(value: str) -> str:
    """Accept text that is not empty and has no control characters."""
    if not value.strip() or not value.isprintable():
        # Not shown: it may have been meant as a password.
        raise ValueError("is empty or has control characters. Write plain text")
    return value


def credential_name(value: str) -> str:
    """Accept what systemd takes for the name of a credential: that of a file (systemd.exec(5), LoadCredential)."""
    if not re.fullmatch(r"(?!\.{1,2}$)[^/:\s]{1,255}", value) or not value.isprintable():
        raise ValueError('is not the name of a credential. Write the ID of LoadCredential=ID:PATH: "caldav"')
    return value


def user_template(value: str) -> str:
    """Accept text with {localpart}, {domain} and {address}."""
    return _template(value, NAMES[1:])


def username_template(value: str) -> str:
    """Accept text with {user}, {localpart}, {domain} and {address}."""
    if ":" in value:
        # The colon ends the user-id (RFC 7617 §2).
        # Nor is it shown: what follows the colon may be meant as a password.
        raise ValueError("has a colon, which HTTP cannot carry in a user name. Write the password as password_file")
    return _template(value, NAMES)


def url_template(value: str) -> str:
    """Accept an http or https URL, or ``dns:`` and a domain; what a mail can choose may not stand in its host."""
    if value.startswith("dns:"):
        domain = value.removeprefix("dns:")
        return value if domain == "{domain}" else f"dns:{domain_name(domain)}"
    split = _split(value)
    if split is None or split.scheme not in ("http", "https") or not split.hostname:
        raise ValueError('not a URL that a calendar can have. Write "https://dav.example.org/"')
    if "@" in split.netloc:
        raise ValueError("has credentials in it. Write them as username and password_file")
    if split.query or split.fragment:
        # It would stand in the log, and a token may be in it.
        raise ValueError("has a query or a fragment, which no calendar's URL has. Write it without ? and #")
    if set(_PLACEHOLDER.findall(split.netloc)) - {"domain"}:
        raise ValueError("only {domain} can stand in the host of a URL. Write the others after it")
    return _template(value, NAMES)


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, None where it has none that can be told apart."""
    if not url.isprintable() or " " in url:
        return None
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        return None
    return split


def _template(value: str, names: tuple[str, ...]) -> str:
    unknown = [name for name in _PLACEHOLDER.findall(value) if name not in names]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in names)
        raise ValueError(f"{{{unknown[0]}}} is not known here. Write one of {known}")
    return line(value)


def database_url(value: str) -> str:
    """Accept the URL of a SQLite file or a PostgreSQL database."""
    if not re.fullmatch(r"sqlite:///.+|postgresql://.+", value):
        example = '"sqlite:////var/lib/imipd/ledger.db" or "postgresql:///imipd"'
        raise ValueError(f"not a database that the ledger can use. Write {example}")
    if value.startswith("postgresql:") and not _is_unambiguous(value):
        # Else the rest of the password would be taken for a host, and shown.
        raise ValueError("user, password and host cannot be told apart. Write %40 for @, %2F for / and %3A for :")
    return value


def _is_unambiguous(url: str) -> bool:
    """Whether user and password end where they seem to end."""
    rest, _, _ = url.removeprefix("postgresql://").partition("?")
    authority, _, path = rest.partition("/")
    userinfo, _, host = authority.rpartition("@")
    port = re.fullmatch(r"(?:\[[^\[\]]*\]|[^:]*)(?::[0-9]*)?", host)
    return "@" not in userinfo + path and userinfo.count(":") < 2 and port is not None


def beside_the_file(path: str, validation: ValidationInfo) -> str:
    """Return the path; one that is relative starts at the folder of the configuration file."""
    file = (validation.context or {}).get("file")
    return str(file.parent / path) if file else path


Item = TypeVar("Item")
Tables = Annotated[tuple[Item, ...], BeforeValidator(from_list)]
Texts = Annotated[tuple[Item, ...], BeforeValidator(as_list)]

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Threads = Annotated[int, Field(ge=1, le=1000)]
Workers = Annotated[int, Field(ge=1, le=64)]
Duration = Annotated[timedelta, BeforeValidator(duration)]
Size = Annotated[int, BeforeValidator(size)]
Line = Annotated[str, AfterValidator(line)]
CredentialName = Annotated[str, AfterValidator(credential_name)]
Endpoint = Annotated[str, AfterValidator(endpoint)]
TcpEndpoint = Annotated[str, AfterValidator(tcp_endpoint)]
DomainName = Annotated[str, AfterValidator(domain_name)]
UserTemplate = Annotated[str, AfterValidator(user_template)]
UsernameTemplate = Annotated[str, AfterValidator(username_template)]
UrlTemplate = Annotated[str, AfterValidator(url_template)]
DatabaseUrl = Annotated[str, AfterValidator(database_url)]
Listen = Texts[Endpoint]
Addresses = Texts[Annotated[str, AfterValidator(mail_address)]]
DomainNames = Texts[DomainName]
Senders = Annotated[tuple[Annotated[str, AfterValidator(sender)], ...], BeforeValidator(separated)]
CalendarIds = Annotated[tuple[DomainName, ...], BeforeValidator(separated)]
Person = Annotated[tuple[Annotated[str, AfterValidator(mail_address)], ...], BeforeValidator(separated)]
People = Annotated[tuple[Person, ...], BeforeValidator(grouped)]
NameServers = Texts[Annotated[str, AfterValidator(name_server)]]
Headers = Texts[Annotated[str, AfterValidator(header)]]
Secret = Annotated[SecretStr, Field(min_length=1)]
File = Annotated[str, AfterValidator(line), AfterValidator(beside_the_file)]
Command = Annotated[tuple[Line, ...], BeforeValidator(from_list), Field(min_length=1)]
