"""The event loop in which mail is taken: uvloop's where it is installed, else asyncio's own."""

import asyncio
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the loop."""
    try:
        import uvloop  # noqa: PLC0415  an extra
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
