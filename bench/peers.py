"""The peers that have no server of their own in the tests: aiosmtpd with an empty handler, as LMTP.

Run as a command it is that server: `python -m bench.peers PORT`.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiosmtpd.lmtp import LMTP

from servers import free_port, running

ROOT = Path(__file__).parent.parent


class Empty:
    """Takes every mail and does nothing with it."""


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: LMTP(Empty()), "127.0.0.1", port)
    await server.serve_forever()


@contextmanager
def aiosmtpd() -> Iterator[str]:
    """Run it in a process of its own and return where it listens."""
    port = free_port()
    command = ["/usr/bin/env", f"PYTHONPATH={ROOT}:{ROOT / 'tests'}", sys.executable, "-m", "bench.peers", str(port)]
    with tempfile.TemporaryDirectory() as folder, running(command, Path(folder), port):
        yield f"127.0.0.1:{port}"


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
