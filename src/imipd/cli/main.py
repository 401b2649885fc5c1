"""The command line: which command runs. What it needs is imported when it is asked for, and no sooner."""

import gc
import os
import sys

from . import plain

TYPE_CHECKING = False  # as in typing, whose import takes as long as all of this
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import NoReturn


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run one command and return its exit code (sysexits.h); of a pipe that is a process, end with it."""
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] != ["pipe"]:
        return _whole(words, plain.Begun())
    begun = plain.begin(words[1:], os.environ)
    code = _whole(words, begun) if begun.code is None else begun.code
    return code if arguments else _end(code)


def _whole(words: "Sequence[str]", begun: plain.Begun) -> int:
    chosen = begun.call or _parsed(words)
    run = _imported(chosen.command)
    from imipd.config import ConfigError  # noqa: PLC0415  --help and --version need none of it

    try:
        return run(chosen, begun) if chosen.command == "pipe" else run(chosen)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return os.EX_CONFIG
    except (KeyboardInterrupt, BrokenPipeError):
        return 1


def _parsed(words: "Sequence[str]") -> "argparse.Namespace":
    from .arguments import parser  # noqa: PLC0415  a pipe that is called as usual has no need of it

    return parser().parse_args(words)


def _end(code: int) -> "NoReturn":
    """End the process: nothing is left to put away, and an interpreter takes as long over that as over a REPLY."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError):
            continue  # there is none, or nobody reads it any more, which has been told
    os._exit(code)


def _imported(command: str) -> "Callable[..., int]":
    """Return what runs a command; from now on a traceback is veiled.

    What is imported stays to the end: to look for garbage in it takes a fifth of the time, and as much at the end.
    """
    # Plugins of other packages, which would see the settings, are not looked for among all that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from importlib import import_module  # noqa: PLC0415

    gc.disable()
    try:
        run: Callable[..., int] = import_module(f"imipd.cli.{command}").run
        sys.excepthook = import_module("imipd.cli.veil").exception_told
    finally:
        gc.freeze()
        gc.enable()
    return run
