"""When a domain that vouches for a mail is the From's own: alignment (RFC 7489 §3.1).

Domains are compared as A-labels. A U-label becomes one by punycode alone: the mapping of IDNA 2003 makes another
domain of some ("straße" is "strasse"), and what is not in its one normal form is to match nothing.
"""

import functools

from publicsuffixlist import PublicSuffixList

from imipd.address import comparable, domain


def domain_of(address: str) -> str:
    """Return the domain of an address, or of a bare domain, as A-labels; two are the same where these are equal."""
    bare = address.strip().strip(".")
    return in_ascii(domain(comparable(f"@{bare}")))


def in_ascii(name: str) -> str:
    """Return a domain as A-labels."""
    return ".".join(_a_label(label) for label in name.lower().split("."))


def is_aligned(signer: str, author: str, *, strict: bool = False) -> bool:
    """Return whether what `signer` says counts for mail from `author`; both as of `domain_of`."""
    return bool(signer) and (signer == author or (not strict and organization(signer) == organization(author)))


def organization(name: str) -> str:
    """Return the organizational domain (RFC 7489 §3.2): one label more than the public suffix."""
    return _suffixes().privatesuffix(name) or name


def _a_label(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode()}"


@functools.cache
def _suffixes() -> PublicSuffixList:
    """The list that the package brings along; nothing is fetched."""
    return PublicSuffixList()
