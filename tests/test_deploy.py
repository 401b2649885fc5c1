"""What deploy/ holds for supervisors and containers is valid, by the programs that judge such files."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAMS = ROOT / ".venv-servers" / "bin"
CONTAINER = ROOT / "deploy" / "container"
UNIT = ROOT / "deploy" / "systemd" / "imipd.service"
MOST_EXPOSED = 1.5
"""Of 10, as systemd-analyze reckons it; what docs/install.md says is held below."""


def said_by(program: str | Path, *arguments: str | Path) -> str:
    """Return what a program says; it has to be content."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_compose_file_keeps_to_the_compose_specification() -> None:
    said_by(PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", CONTAINER / "compose.yaml")


def test_the_manifest_keeps_to_the_schemas_of_kubernetes() -> None:
    said = said_by(PROGRAMS / "kubernetes-validate", "--strict", CONTAINER / "kubernetes.yaml")
    assert set(re.findall(r"resource (\w+)/", said)) == {
        "deployment",
        "networkpolicy",
        "poddisruptionbudget",
        "service",
    }


def test_the_container_file_is_clean() -> None:
    said_by(PROGRAMS / "hadolint", CONTAINER / "Containerfile")


@pytest.mark.parametrize(
    ("judge", "name", "right", "wrong"),
    [
        (("check-jsonschema", "--builtin-schema", "vendor.compose-spec"), "compose.yaml", "restart:", "restat:"),
        (("kubernetes-validate", "--strict"), "kubernetes.yaml", "replicas: 2", "replicas: two"),
        (("hadolint",), "Containerfile", "USER 2424:2424", "USER root"),
    ],
)
def test_a_mistake_would_be_found(judge: tuple[str, ...], name: str, right: str, wrong: str, tmp_path: Path) -> None:
    """The judges do judge."""
    spoilt = tmp_path / name
    spoilt.write_text((CONTAINER / name).read_text().replace(right, wrong))
    done = subprocess.run([PROGRAMS / judge[0], *judge[1:], spoilt], capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.e2e
def test_the_unit_is_valid_and_little_exposed() -> None:
    """Its program is not installed here, which is all that systemd may say of it."""
    done = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "imipd" in line and "is not executable" not in line]
    assert not complaints
    said = said_by("systemd-analyze", "security", "--offline=true", "--no-pager", UNIT)
    exposure = re.search(r"Overall exposure level for imipd\.service: ([0-9.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= MOST_EXPOSED
    assert f"exposure {exposure[1]} of 10" in (ROOT / "docs" / "install.md").read_text()
