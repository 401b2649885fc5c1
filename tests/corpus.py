"""Access to the shared corpus of real mails, which is not part of the project."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def corpus() -> Path:
    """Return the corpus's folder; skip the test where it is absent, fail it where CI is set."""
    folder = Path(os.environ.get("IMIPD_CORPUS") or ROOT.parent / "shared" / "corpus")
    if not (folder / "manifest.json").is_file():
        absent = pytest.fail if os.environ.get("CI") else pytest.skip
        absent(f"no corpus of real mails at {folder} (IMIPD_CORPUS)")
    return folder
