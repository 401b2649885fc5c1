"""Certificates for tests: an authority of our own, and servers that it vouches for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import trustme


class Certified(NamedTuple):
    """The files of a server: its certificate and its key, and the certificate of the authority."""

    certificate: Path
    key: Path
    authority: Path


def certified(folder: Path, *names: str, expires: datetime | None = None) -> Certified:
    """Make an authority, and a certificate for the names; `expires` in the past makes one that has expired."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    begins = datetime(2000, 1, 1, tzinfo=UTC) if expires else None
    issued = authority.issue_cert(*names, not_after=expires, not_before=begins)
    found = Certified(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    issued.private_key_pem.write_to_path(found.key)
    found.key.chmod(0o600)
    authority.cert_pem.write_to_path(found.authority)
    found.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return found
