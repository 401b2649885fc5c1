"""What a run says while it goes on, on stderr."""

import sys
import time

_BEGIN = time.monotonic()


def said(text: str) -> None:
    """Print a line with the time since the start."""
    print(f"{time.monotonic() - _BEGIN:6.1f} s  {text}", file=sys.stderr, flush=True)
