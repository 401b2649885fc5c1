"""The file name of an object that we create: the same on every node (rule S2)."""

import hashlib
import re

PLAIN = re.compile(r"(?!\.)[A-Za-z0-9@._-]{1,200}")
"""UIDs that may name a file as they are. Radicale takes no name that begins with a dot."""


def name_of(uid: str) -> str:
    """Return the name for a UID: itself where it is plain, else its SHA-256."""
    stem = uid if PLAIN.fullmatch(uid) else hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()
    return stem + ".ics"
