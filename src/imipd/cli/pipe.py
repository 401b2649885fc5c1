"""imipd pipe: one mail on stdin, processed in this process."""

import argparse
import os
import sys

import structlog

from imipd import config
from imipd.ingress import pipe
from imipd.ledger import LedgerError

from . import assembly, logs


def run(arguments: argparse.Namespace) -> int:
    """Process the mail and return its fate as an exit code."""
    settings = config.load(arguments.config, os.environ)
    logs.begin(settings)
    errand = pipe.Errand(
        sys.stdin.buffer,
        tuple(arguments.recipients),
        arguments.reverse_path,
        sys.stdout.buffer if arguments.passthrough else None,
        settings.limits.mail,
    )
    try:
        with assembly.opened(settings, os.environ) as house:
            # The caller goes on with the mail: [forward] is for the listeners.
            return pipe.run(errand, house.knows, house.gateway.deliver)
    except LedgerError as error:
        structlog.get_logger("imipd").error("ledger", error=str(error))
        return os.EX_TEMPFAIL
