"""A mail server that says what a test wants."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def saying(folder: Path, *answers: str) -> Iterator[str]:
    """Run a listener that gives these answers, the first as its greeting, and then hangs up."""

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for answer in answers:
                self.wfile.write(answer.encode() + b"\r\n")
                if not self.rfile.readline():
                    return

    with socketserver.ThreadingUnixStreamServer(f"{folder}/s", Talk) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"{folder}/s"
        server.shutdown()
    (folder / "s").unlink()
