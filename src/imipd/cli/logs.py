"""Where the log goes and how it looks: lines for people in a terminal, JSON elsewhere. Always stderr."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from imipd import scenario
from imipd.config import Config


def begin(config: Config) -> None:
    """Set up structlog as the configuration says."""
    text = config.log.format == "text" or (config.log.format == "auto" and sys.stderr.isatty())
    # The default traceback shows local variables where rich is installed: passwords, and what people wrote.
    lines = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderer = lines if text else structlog.processors.JSONRenderer(default=str)
    # aiosmtpd tells every command and address at INFO.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    tracebacks = () if text else (structlog.processors.format_exc_info,)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            *tracebacks,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[config.log.level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _printable(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Let no UID or method of a stranger tell the operator's terminal what to do: ConsoleRenderer prints as is."""
    return {key: scenario.printable(value) if isinstance(value, str) else value for key, value in event.items()}
