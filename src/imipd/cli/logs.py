"""Where the log goes and how it looks: lines for people in a terminal, JSON elsewhere. Always stderr."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from imipd import scenario
from imipd.config import Config

from . import veil

_worker: dict[str, int] = {}


def begin(config: Config) -> None:
    """Set up structlog as the configuration says."""
    text = config.log.format == "text" or (config.log.format == "auto" and sys.stderr.isatty())
    # The default traceback shows local variables where rich is installed: passwords, and what people wrote.
    lines = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_veiled_traceback)
    renderer = lines if text else structlog.processors.JSONRenderer(default=str)
    # aiosmtpd tells every command and address at INFO.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    if logging.lastResort:
        # What asyncio and the other libraries say.
        logging.lastResort.setFormatter(_VeiledFormatter())
    tracebacks = () if text else (structlog.processors.ExceptionRenderer(_veiled_exception),)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _told_by,
            _printable,
            *tracebacks,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[config.log.level.upper()]),
        # Each line in one write, also where Python does not buffer: other processes write there, too.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def as_worker(number: int) -> None:
    """Say in every line from now on which of several processes it is from."""
    _worker["worker"] = number


def _told_by(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**event, **_worker}


class _VeiledFormatter(logging.Formatter):
    """A line of a library, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and the traceback that it may have."""
        return veil.veiled(super().format(record))


def _veiled_exception(exc_info: structlog.typing.ExcInfo) -> str:
    return veil.veiled("".join(traceback.format_exception(*exc_info)).removesuffix("\n"))


def _veiled_traceback(lines: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    lines.write("\n" + _veiled_exception(exc_info))


def _printable(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Let no UID or method of a stranger tell the operator's terminal what to do: ConsoleRenderer prints as is."""
    return {key: scenario.printable(value) if isinstance(value, str) else value for key, value in event.items()}
