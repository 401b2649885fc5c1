"""What the README promises, done on a Debian on which there is nothing, with its own Python."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("fresh machine")]

ROOT = Path(__file__).parents[2]
MIRROR = os.environ.get("IMIPD_MIRROR", "http://deb.debian.org/debian")
PATIENCE = 1200
"""Seconds after which a step hangs."""
FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
TRUST = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Machine:
    """A Debian in a folder; `checkout` is the project in it, seen from inside."""

    root: Path
    checkout: str = "/srv/imipd"

    def run(self, script: str, *, user: str = "root", alone: bool = False) -> str:
        """Run a script in the checkout and return what it said; `alone` has a network of its own, without an outside.

        What it leaves running ends with it.
        """
        inside = f"cd {self.checkout} && exec runuser -u {user} -- sh -eu -c {shlex.quote(script)}"
        outside = (
            f"mount -t proc proc {self.root}/proc && mount --rbind /dev {self.root}/dev;"
            f" {'ip link set lo up;' if alone else ''}"
            f" exec chroot {self.root} /bin/sh -c {shlex.quote(inside)}"
        )
        spaces = ["--mount", "--pid", "--fork", "--kill-child", *(["--net"] if alone else [])]
        with (self.root.parent / "said").open("w+") as said:
            done = subprocess.run(
                ["unshare", *spaces, "sh", "-c", outside],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                env=self._environment(user),
                timeout=PATIENCE,
                check=False,
            )
            said.seek(0)
            text = said.read()
        assert done.returncode == 0, text[-5000:]
        return text

    def _environment(self, user: str) -> dict[str, str]:
        """Only what the way to the package registries needs of the machine around it."""
        outside = {name: value for name, value in os.environ.items() if value == TRUST or "proxy" in name.lower()}
        home = "/root" if user == "root" else f"/home/{user}"
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": home, "LANG": "C.UTF-8", **outside}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Make the machine and put the project as it is committed or not yet into it."""
    root = tmp_path_factory.mktemp("fresh") / "root"
    suite = ("--variant=minbase", "--include=python3,python3-venv,make,ca-certificates", "bookworm")
    made = subprocess.run(["debootstrap", *suite, root, MIRROR], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr
    # How this machine finds others, and whom it trusts, is no part of what is tested.
    for name in ("/etc/resolv.conf", "/etc/hosts", TRUST):
        shutil.copy(name, root / name.lstrip("/"))
    # As in any container: a package that is installed starts nothing.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    found = Machine(root)
    checkout = root / found.checkout.lstrip("/")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    yield found
    shutil.rmtree(root)


def blocks(heading: str) -> list[str]:
    """Return the commands of a section of the README."""
    section = (ROOT / "README.md").read_text().partition(f"### {heading}\n")[2].partition("\n### ")[0]
    return FENCE.findall(section)


def test_make_demo_and_make_test_are_the_first_commands(machine: Machine) -> None:
    """For a user without rights."""
    machine.run("useradd --create-home newcomer && cp -r . /home/newcomer/imipd && chown -R newcomer: /home/newcomer")
    newcomer = Machine(machine.root, "/home/newcomer/imipd")
    assert "attendee-replied" in newcomer.run("make demo", user="newcomer")
    said = newcomer.run("make test", user="newcomer")
    assert re.search(r"\d+ passed", said)
    assert "failed" not in said


def test_the_walk_through_of_the_readme_ends_with_an_answer_in_the_calendar(machine: Machine) -> None:
    programs, *rest = blocks("From nothing to the first answer")
    machine.run(programs)
    # Its ports are nobody else's; and what is installed needs no outside any more.
    said = machine.run("\n".join(rest), alone=True)
    assert "FAIL" not in said
    assert "attendee-replied" in said
    assert "PARTSTAT=ACCEPTED" in said.rpartition("attendee-replied")[2]


def test_the_steps_of_the_container_file_make_an_imipd_that_runs(machine: Machine) -> None:
    """Both stages in one root, over Debian's Python instead of the image's."""
    script: list[str] = []
    for line in (ROOT / "deploy/container/Containerfile").read_text().replace("\\\n", "").splitlines():
        word, _, rest = line.partition(" ")
        if word == "WORKDIR":
            script.append(f"mkdir -p {rest}; context=$PWD; cd {rest}")
        elif word == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            script += [f'cp -r "$context/{source}" {target}' for source in sources]
        elif word == "RUN":
            script.append(rest)
    assert len(script) > 5
    machine.run("rm -rf /opt/imipd; ! id imipd >/dev/null 2>&1 || userdel imipd; rm -rf /var/lib/imipd")
    machine.run("\n".join(script))
    assert "imipd 0.1.0" in machine.run("cd /; runuser -u imipd -- /opt/imipd/bin/imipd --version")
