"""Every real file of the corpus comes to the recorded outcome, and the second delivery to nothing more (S4)."""

import csv
from pathlib import Path

import pytest

from corpus_outcomes import files, rows

TABLE = Path(__file__).with_name("corpus-outcomes.tsv")
with TABLE.open(newline="") as lines:
    ROWS = list(csv.DictReader(lines, delimiter="\t"))


@pytest.mark.parametrize("file", sorted({row["file"] for row in ROWS}))
def test_a_real_file_comes_to_its_outcome(file: str) -> None:
    assert rows(file) == [row for row in ROWS if row["file"] == file]


def test_every_file_is_recorded() -> None:
    assert files() == sorted({row["file"] for row in ROWS})


def test_nothing_is_written_twice() -> None:
    assert not [row for row in ROWS if row["again"].startswith(("added", "updated"))]
