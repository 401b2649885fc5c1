"""The event loops that `imipd serve` may choose: what is tested of a conversation is tested in each of them."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from imipd.cli.loop import loop_factory

LOOPS = {each.__module__.partition(".")[0]: each for each in (asyncio.new_event_loop, loop_factory())}
in_each_loop = pytest.mark.parametrize("loop", LOOPS)


def ran(loop: str, work: Coroutine[Any, Any, None], patience: float = 20) -> None:
    """Run it to its end in such a loop."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(work, patience))


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in a loop of its own, once for each kind."""

    @wraps(test)
    def run(loop: str, **arguments: Any) -> None:
        ran(loop, test(**arguments))

    signature = inspect.signature(test)
    parameters = [inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD), *signature.parameters.values()]
    # From it pytest reads what a test asks for.
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    marked: Callable[..., None] = in_each_loop(run)
    return marked
