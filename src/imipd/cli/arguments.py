"""What each command is called and takes."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

COMMANDS = ("serve", "pipe", "explain", "check", "log", "undo", "demo")
RESULTS = "Exit codes: 0 done; 64 wrong usage; 67 no such account; 75 try again; 78 configuration error."


class _Version(argparse.Action):
    """--version; only who asks for it waits for the package's metadata."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        """Print it and end."""
        from importlib.metadata import version  # noqa: PLC0415

        print(f"{parser.prog} {version('imipd')}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """argparse ends in 2 over wrong usage, over which an MTA would bounce; sysexits.h says 64."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return what reads a command line."""
    whole = _Parser(
        prog="imipd", description="Carries iTIP messages from the mail into CalDAV calendars.", epilog=RESULTS
    )
    whole.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    commands = whole.add_subparsers(dest="command", required=True, metavar="|".join(COMMANDS))
    for name, (text, describe) in _DESCRIPTIONS.items():
        describe(commands.add_parser(name, help=text, description=text, epilog=RESULTS))
    return whole


def _configured(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        dest="config",
        metavar="FILE",
        type=Path,
        help="the configuration; else $IMIPD_CONFIG, ./imipd.toml, /etc/imipd/imipd.toml",
    )


def _pipe(parser: argparse.ArgumentParser) -> None:
    _configured(parser)
    parser.add_argument(
        "-r",
        dest="recipients",
        metavar="RECIPIENT",
        nargs="+",
        action="extend",
        required=True,
        help="whose mail it is, one or several",
    )
    parser.add_argument("-f", dest="reverse_path", metavar="REVERSE_PATH", help='MAIL FROM; "" is the null one')
    parser.add_argument(
        "--passthrough", action="store_true", help="write the mail to stdout, with X-Imipd-Outcome on top"
    )


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [-c FILE] [-r RECIPIENT] [--stored FILE.ics] [--policy KEY=VALUE ...]"
    parser.usage += " [--authserv-id ID] [--json] MAIL"
    _configured(parser)
    whose = "whose mail it is; else its Delivered-To, X-Original-To, or the only address in To"
    parser.add_argument("-r", dest="recipient", metavar="RECIPIENT", help=whose)
    parser.add_argument("--stored", metavar="FILE.ics", type=Path, help="what the calendar holds, instead of asking it")
    parser.add_argument(
        "--policy", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="such as invitations=add"
    )
    believed = "whose Authentication-Results are believed; else what policy.authserv_id names"
    parser.add_argument("--authserv-id", metavar="ID", help=believed)
    parser.add_argument("--json", action="store_true", help="one JSON object, with the calendar as it would be stored")
    parser.add_argument("mail", metavar="MAIL", nargs="?", help="a file, or - for stdin")


def _log(parser: argparse.ArgumentParser) -> None:
    _configured(parser)
    parser.add_argument("--recipient", metavar="A", help="only mail for this address")
    parser.add_argument("--uid", metavar="U", help="only messages about this event or task")
    parser.add_argument("--since", metavar="T", help="2027-01-31, 2027-01-31T12:00, or back from now: 3h, 2d")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _undo(parser: argparse.ArgumentParser) -> None:
    _configured(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and write nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("entry", metavar="ENTRY", type=int, help="its number, as imipd log shows it")
    parser.epilog = f"{RESULTS} 65: something stands in the way; 66: there is no such entry."


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stay", action="store_true", help="keep the servers up at the end")
    parser.add_argument("--radicale", metavar="PROGRAM", type=Path, help="the Radicale to run; else the installed one")


_DESCRIPTIONS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "serve": ("take mail by LMTP and SMTP until SIGTERM", _configured),
    "pipe": ("process one mail from stdin", _pipe),
    "explain": ("say what would happen with a mail, and why; write nothing", _explain),
    "check": ("check the configuration and try every door", _configured),
    "log": ("show what was decided, newest first", _log),
    "undo": ("take back what one entry of the ledger did", _undo),
    "demo": ("a tour on this machine, with an embedded calendar server and the sample mails", _demo),
}
