"""How long imipc takes for one mail, beside an interpreter that does nothing: `python bench/imipc_start.py [PYTHON]`.

Both are run in turns, so that a busy machine slows both. The daemon is a stand-in that answers at once.
"""

import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROUNDS = 200
CLIENT = Path(__file__).parent.parent / "src" / "imipd" / "client.py"
MAIL = b"From: bob@example.net\nSubject: lunch\n\n" + b"See you at lunch.\n" * 300


class StandIn(socketserver.StreamRequestHandler):
    """An LMTP server that takes everything."""

    def handle(self) -> None:
        """Answer each line, and the content after DATA as a whole."""
        self.wfile.write(b"220 stand-in LMTP\r\n")
        for line in self.rfile:
            if line.startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() != b".\r\n":
                    pass
            self.wfile.write(b"250 2.0.0 Ok\r\n")


def main() -> None:
    """Print both medians and their ratio."""
    python = sys.argv[1] if len(sys.argv) > 1 else "/usr/bin/python3"
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        server = socketserver.ThreadingUnixStreamServer(path, StandIn)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        nothing = [python, "-I", "-S", "-c", "pass"]
        imipc = [python, "-I", "-S", str(CLIENT), "-s", path, "-r", "alice@example.org", "-f", "bob@example.net"]
        runs = [(_timed(lambda: _run(nothing)), _timed(lambda: _run(imipc))) for _ in range(ROUNDS)]
    idle, client = (median(times) * 1000 for times in zip(*runs, strict=True))
    print(f"{python} -I -S -c pass: {idle:.1f} ms; imipc: {client:.1f} ms; ratio {client / idle:.2f}")


def _run(command: list[str]) -> None:
    subprocess.run(command, input=MAIL, check=True)


def _timed(call: Callable[[], None]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
