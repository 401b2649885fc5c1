"""DKIM signatures and ARC seals as senders and lists make them, and a DNS that holds their keys."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dkim.canonicalization import CanonicalizationPolicy
from nacl.signing import SigningKey

from imipd.proof import UnansweredError

SIGNED = ("from", "to", "date", "message-id", "content-type")


@cache
def private_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    """Return the key of this name, made once."""
    return rsa.generate_private_key(65537, bits)


def pem(key: rsa.RSAPrivateKey) -> bytes:
    """Return a private key as the library reads it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def record(key: rsa.RSAPrivateKey, tags: Mapping[str, str]) -> bytes:
    """Return the key's record in the DNS."""
    public = base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    return "; ".join(f"{name}={value}" for name, value in {"v": "DKIM1", "p": public, **tags}.items()).encode()


@dataclass
class Dns:
    """A DNS that a test fills; `asked` holds the questions."""

    records: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    """Names for which nobody answers; "*" is all."""
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> tuple[bytes, ...]:
        self.asked.append(name)
        if self.down & {name, "*"}:
            raise UnansweredError(f"DNS: {name}: Timeout")
        return self.records.get(name, ())

    def first(self, name: bytes, timeout: float) -> bytes:  # noqa: ARG002  the library's
        """Answer the library."""
        return self(name.decode().rstrip("."))[0]

    def publish(
        self, domain: str, selector: str = "s1", bits: int = 2048, tags: Mapping[str, str] | None = None
    ) -> None:
        """Publish the key of a domain."""
        key = private_key(f"{selector}.{domain}", bits)
        self.records[f"{selector}._domainkey.{domain}"] = (record(key, tags or {}),)


def signed(
    mail: bytes,
    domain: str = "example.net",
    selector: str = "s1",
    names: tuple[str, ...] = SIGNED,
    canonical: str = "relaxed/relaxed",
    bits: int = 2048,
    **tags: str,
) -> bytes:
    """Return the mail with a signature on top; `tags` such as x are added, `a` chooses the algorithm."""
    algorithm = tags.pop("a", "rsa-sha256").encode()
    signer = dkim.DKIM(mail, signature_algorithm=algorithm)
    policy = CanonicalizationPolicy.from_c_value(canonical.encode())
    signer.hasher = dkim.HASH_ALGORITHMS[algorithm]
    body = policy.canonicalize_body(signer.body)
    fields = [
        *_fields({"v": "1", "a": algorithm.decode(), "c": canonical, "d": domain, "s": selector, **tags}),
        (b"h", b":".join(name.encode() for name in names)),
        (b"bh", base64.b64encode(signer.hasher(body[: int(tags.get("l", len(body)))]).digest())),
        (b"b", b"0" * 60),
    ]
    name = f"{selector}.{domain}"
    key = ed25519_key(name) if algorithm == b"ed25519-sha256" else _parsed(private_key(name, bits))
    value = signer.gen_header(fields, [name.encode() for name in names], policy, b"DKIM-Signature", key)
    return bytes(b"DKIM-Signature: " + value + mail)


@cache
def ed25519_key(name: str) -> SigningKey:
    """Return the Ed25519 key of this name, made once."""
    return SigningKey.generate()


def ed25519_record(name: str) -> bytes:
    """Return its record in the DNS (RFC 8463 §4)."""
    return b"v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(ed25519_key(name).verify_key))


def _parsed(key: rsa.RSAPrivateKey) -> object:
    return dkim.parse_pem_private_key(pem(key))


def _fields(tags: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in tags.items()]


def sealed(mail: bytes, results: str, domain: str = "lists.example.com") -> bytes:
    """Return the mail with the ARC set of a list that saw `results`, and without those."""
    told = f"Authentication-Results: {domain}; {results}\r\n".encode() + mail
    names = [name.encode() for name in SIGNED]
    key = pem(private_key(f"s1.{domain}", 2048))
    fields = dkim.arc_sign(told, b"s1", domain.encode(), key, domain.encode(), include_headers=names)
    assert len(fields) == 3
    return b"".join(fields) + mail


def changed(mail: bytes) -> bytes:
    """Return the mail with a footer of a list."""
    return re.sub(rb"\r\n\Z", b"\r\nX-FOOTER:list\r\n", mail)
