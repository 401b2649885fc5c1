"""The command line: which command runs. What it needs is imported when it is asked for, and no sooner."""

import gc
import os
import sys

from . import plain

TYPE_CHECKING = False  # as in typing, whose import takes as long as all of this
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run one command and return its exit code (sysexits.h)."""
    words = sys.argv[1:] if arguments is None else arguments
    begun = plain.begin(words[1:], os.environ) if words[:1] == ["pipe"] else plain.Begun()
    return _whole(words, begun) if begun.code is None else begun.code


def _whole(words: "Sequence[str]", begun: plain.Begun) -> int:
    from .arguments import parser  # noqa: PLC0415

    chosen = parser().parse_args(words)
    chosen.begun = begun
    run = _imported(chosen.command)
    from imipd.config import ConfigError  # noqa: PLC0415  --help and --version need none of it

    try:
        return run(chosen)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    except (KeyboardInterrupt, BrokenPipeError):
        return 1


def _imported(command: str) -> "Callable[[argparse.Namespace], int]":
    """Return what runs a command; from now on a traceback is veiled.

    What is imported stays to the end: to look for garbage in it takes a fifth of the time, and as much at the end.
    """
    # Plugins of other packages, which would see the settings, are not looked for among all that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from importlib import import_module  # noqa: PLC0415

    gc.disable()
    try:
        run: Callable[[argparse.Namespace], int] = import_module(f"imipd.cli.{command}").run
        sys.excepthook = import_module("imipd.cli.veil").exception_told
    finally:
        gc.freeze()
        gc.enable()
    return run
