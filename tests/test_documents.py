"""The documents say what is there: every reason is explained, every rule is proven, every link leads somewhere."""

import ast
import importlib
import io
import re
import shlex
import tokenize
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from imipd import config, itip, scenario
from imipd.cli.main import main
from imipd.itip import Reason
from imipd.itip.message import PROCESSED, RETURNED
from imipd.mail import header

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*/README.md"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SCENARIOS = sorted((ROOT / "tests" / "scenarios").rglob("*.scenario"))
METHODS = ("PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER")  # RFC 5546 §1.4
_ID = re.compile(r"(?<![\w-])[GAVRQCMBS]\d{1,2}(?![\w-])")
_REASON = re.compile(r"^\| `([a-z-]+)` \|", re.MULTILINE)
_RULE = re.compile(r"^\| ([GAVRQCMBS]\d{1,2})( \(later\))? \|", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def rules() -> dict[str, bool]:
    """Return the ids of docs/rules.md, and whether each is marked as later."""
    return {found[1]: bool(found[2]) for found in _RULE.finditer((DOCS / "rules.md").read_text())}


def cited_by(path: Path) -> set[str]:
    """Return the ids in a scenario's title, or in the docstrings and comments of a test."""
    if path.suffix == ".scenario":
        return set(_ID.findall(scenario.parse(path.read_text()).title))
    return set(_ID.findall("\n".join(_prose(path.read_text()))))


def _prose(source: str) -> Iterator[str]:
    places = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    yield from (ast.get_docstring(node) or "" for node in ast.walk(ast.parse(source)) if isinstance(node, places))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    yield from (token.string for token in tokens if token.type == tokenize.COMMENT)


def test_every_reason_is_explained_once() -> None:
    explained = Counter(_REASON.findall((DOCS / "reasons.md").read_text()))
    assert set(explained) == {str(reason) for reason in Reason}
    assert set(explained.values()) == {1}


def test_every_reason_stands_under_its_outcome() -> None:
    """The comments of the enumeration and the headings of the page group the reasons alike."""
    page = (DOCS / "reasons.md").read_text()
    code = (ROOT / "src" / "imipd" / "itip" / "decision.py").read_text()
    assert _grouped(page, r"^## (\w+).*", _REASON) == _grouped(
        code, r"^    # (added|updated|no action|error).*", re.compile(r'^    [A-Z_]+ = "([a-z-]+)"$', re.MULTILINE)
    )


def _grouped(text: str, heading: str, reason: re.Pattern[str]) -> dict[str, str]:
    _, *pieces = re.split(f"(?m){heading}", text)
    pairs = zip(pieces[::2], pieces[1::2], strict=True)
    return {name: outcome.replace(" ", "_") for outcome, body in pairs for name in reason.findall(body)}


def test_every_rule_is_proven() -> None:
    proven = {rule for path in (*SCENARIOS, *TESTS) for rule in cited_by(path)}
    assert {rule for rule, later in rules().items() if not later and rule not in proven} == set()


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_cites_rules_that_exist(path: Path) -> None:
    cited = cited_by(path)
    assert cited, "no rule is cited below the title"
    assert cited <= set(rules())


def test_every_method_is_processed() -> None:
    """G10: those of RFC 5546 and no others; and what may be said of which component (RFC 5546 §3.5)."""
    assert set(PROCESSED) == set(METHODS) == set(itip.METHODS) - {RETURNED}
    assert _gated("X-REMIND", "VEVENT") == Reason.UNSUPPORTED_METHOD
    refused = {method for method in METHODS if _gated(method, "VJOURNAL") == Reason.UNSUPPORTED_METHOD}
    assert refused == set(METHODS) - {"PUBLISH", "ADD", "CANCEL"}


def test_other_components_are_refused() -> None:
    """G10: whatever the method."""
    assert {_gated(method, "VFREEBUSY") for method in METHODS} == {Reason.UNSUPPORTED_COMPONENT}


def _gated(method: str, kind: str) -> Reason | None:
    lines = f"BEGIN:{kind}\nUID:1\nDTSTAMP:20270104T080000Z\nDTSTART:20270111T110000Z\nEND:{kind}"
    message = itip.parse(f"BEGIN:VCALENDAR\nMETHOD:{method}\n{lines}\nEND:VCALENDAR\n".encode())
    refused = itip.gate(message, itip.Context(frozenset(), None))
    return refused.reason if refused else None


def test_rules_cited_in_the_documents_exist() -> None:
    known = set(rules())
    pages = [page for page in PAGES if page.is_file()]
    assert {(page.name, rule) for page in pages for rule in _ID.findall(page.read_text()) if rule not in known} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text()) if "://" not in link and not link.startswith("#")]
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - {"README.md"}
    assert pages <= set(_LINK.findall(index))


_FIXED = re.compile(r"^\| .+? \| (\d+) \| `(\S+\.py) (\w+)` \|", re.MULTILINE)
_NO_LIMITS = {"itip/moment.py LONGEST", "itip/lines.py LONGEST_ROW", "config/units.py LONGEST", "config/checks.py HOPS"}
"""A century, the width of a line, the greatest duration of a setting, a list of keys."""


def test_the_limits_are_those_of_the_code() -> None:
    """Every constant that is called a limit stands on the page, with its value."""
    stated = {f"{file} {name}": int(value) for value, file, name in _FIXED.findall((DOCS / "limits.md").read_text())}
    found: dict[str, object] = {}
    source = ROOT / "src" / "imipd"
    for path in source.rglob("*.py"):
        for name in re.findall(r"^((?:MOST|LONGEST|LARGEST|MAX|HOPS|ATTEMPTS)\w*) = ", path.read_text(), re.MULTILINE):
            file = path.relative_to(source)
            module = importlib.import_module("imipd." + ".".join(file.with_suffix("").parts))
            found[f"{file} {name}"] = getattr(module, name)
    found["mail/header.py HEAD"] = header.HEAD
    assert stated == {key: value for key, value in found.items() if key not in _NO_LIMITS}


def test_the_limits_that_can_be_set_are_settings() -> None:
    named = re.findall(r"`(\w+)\.(\w+)`, (\d+)", (DOCS / "limits.md").read_text())
    assert len(named) > 8
    for section, key, value in named:
        default = getattr(getattr(config.Config(), section), key)
        units = {
            25 * 2**20: 25,
            100 * 2**20: 100,
            2**20: 1,
            timedelta(minutes=5): 5,
            timedelta(seconds=5): 5,
            timedelta(seconds=10): 10,
            timedelta(hours=24): 24,
        }
        assert units.get(default, default) == int(value), f"{section}.{key}"


def test_the_configuration_of_the_readme_is_one(tmp_path: Path) -> None:
    """It is complete and unsuspicious; with `cancelled = "delete"` added it would be warned of (S6)."""
    shown = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o600)
    file = tmp_path / "imipd.toml"
    text = shown[1].replace("/etc/imipd/alice", "password")
    file.write_text(text)
    assert config.warnings(config.load(file, {})) == ()
    file.write_text(text + 'cancelled = "delete"\n')
    (warning,) = config.warnings(config.load(file, {}))
    assert "lets a forged mail delete" in warning


def test_explain_prints_what_the_readme_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one command of the README that shows its whole output."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("IMIPD_CONFIG", raising=False)
    shown = re.search(r"^\$ imipd (explain .*)\n((?:.*\n)*?)```", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert shown
    assert main(shlex.split(shown[1])) == 0
    assert capsys.readouterr().out == shown[2]
