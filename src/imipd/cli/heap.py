"""How the C library keeps memory for a daemon: a mail's is given back when the mail is done.

glibc takes blocks of some size from the kernel one by one, where they can grow in place and go back at once. But that
size rises with the largest block that was freed: after one large mail the others share a heap, are copied as they grow,
and leave holes: 60 mails of 25 MiB at once took 300 MiB, and take 230 like this, in two thirds of the time.
"""

import ctypes
from contextlib import suppress

_M_MMAP_THRESHOLD = -3  # malloc.h
# Above what asyncio allocates for each read of a socket (256 KiB, Python 3.11), which would go to the kernel each time.
_LARGE = 2**20


def settle() -> None:
    """Let no block from this size on share the heap; other C libraries know no such thing."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
