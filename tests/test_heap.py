"""What the C library does with the memory of a mail that is done."""

import os
import subprocess
import sys

FREED = """
import sys
from imipd.cli import heap

def held():
    return next(int(row.split()[1]) for row in open("/proc/self/status") if row.startswith("VmRSS"))

if "settled" in sys.argv:
    heap.settle()
large = b"x" * 2**23
del large
before = held()
blocks = [b"x" * 2**20 for _ in range(100)]
del blocks[:-1]
print((held() - before) // 1024)
"""


def test_what_a_mail_took_is_given_back_while_a_later_one_stays() -> None:
    """After a larger block, 99 of 100 are freed, of which the last one lies on top."""
    assert _held("settled") < 20
    assert _held("as it is") > 60


def _held(how: str) -> int:
    """Return the MiB that are still held."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", FREED, how], capture_output=True, text=True, env=environment, check=True
    )
    return int(ran.stdout)
