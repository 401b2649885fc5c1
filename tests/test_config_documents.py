"""deploy/imipd.toml and docs/settings.md say what the models say."""

import re
import tomllib
from pathlib import Path

import pytest
import trustme

from imipd.config import Config, load
from imipd.config.places import Section
from imipd.config.wording import sections
from settings_table import as_written, page

HERE = Path(__file__).parent
EXAMPLE = HERE.parent / "deploy" / "imipd.toml"


def loaded(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "imipd.toml"
    file.write_text(text)
    return load(file, environ)


class TestDocuments:
    @pytest.fixture
    def secrets(self, tmp_path: Path) -> Path:
        for name in ("master-password", "alice", "example.org", "pass"):
            (tmp_path / name).write_text("x")
            (tmp_path / name).chmod(0o700)
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
        return tmp_path

    def read(self, secrets: Path, lines: list[str]) -> Config:
        text = "\n".join(lines).replace("/etc/imipd/", f"{secrets}/")
        return loaded(secrets, text, PATH=str(secrets), CALDAV_PASSWORD="x", ALICE="x", EXAMPLE_ORG="x")

    def test_the_example_loads_as_it_is(self, secrets: Path) -> None:
        config = self.read(secrets, EXAMPLE.read_text().splitlines())
        assert config.policy_of(config.account[0]).invitations == "add"

    def test_the_example_loads_with_everything_switched_on(self, secrets: Path) -> None:
        assert self.read(secrets, switched_on()).domain[0].also == ("imip.invalid",)

    @pytest.mark.parametrize("number", [n for n, line in enumerate(EXAMPLE.read_text().splitlines()) if "#or " in line])
    def test_the_example_loads_with_each_alternative(self, secrets: Path, number: int) -> None:
        lines = EXAMPLE.read_text().splitlines()
        above = next(n for n in range(number, 0, -1) if not lines[n].startswith("#or "))
        lines[above] = lines[number].removeprefix("#or ")
        assert self.read(secrets, switched_on(lines))

    @pytest.mark.parametrize("name", [name for name in sections() if len(name) == 1], ids=lambda name: name[0])
    def test_the_example_has_every_key(self, name: tuple[str]) -> None:
        assert set(sections()[name].model_fields) <= set(example()[name[0]])

    def test_defaults_in_the_example_are_the_defaults(self) -> None:
        stated = [
            (section, key, value)
            for section, keys in example().items()
            for key, (mark, value) in keys.items()
            if mark == "#"
        ]
        assert len(stated) > 20
        for section, key, value in stated:
            model: type[Section] = sections()[(section,)]
            assert value == as_written(model, key), f"{section}.{key}"

    def test_every_default_is_stated_in_the_example(self) -> None:
        for name, model in sections().items():
            for key, field in model.model_fields.items() if len(name) == 1 else ():
                if field.default not in (None, ()) and not isinstance(field.default, Section):
                    assert example()[name[0]][key][0] == "#", f"{name[0]}.{key}"

    def test_the_table_of_settings_is_what_the_models_say(self) -> None:
        assert (HERE.parent / "docs" / "settings.md").read_text() == page()

    def test_every_key_is_described_and_shown(self) -> None:
        for name, model in sections().items():
            for key, field in model.model_fields.items() if name else ():
                assert field.description, f"{name}.{key}"
                for example in field.examples or []:
                    assert model.model_validate({key: example})


SETTING = re.compile(r"(#|#e\.g\. |#or |)([a-z_]+) = (.+)")
SECTION = re.compile(r"(?:#e\.g\. )?\[+([a-z.]+)\]+")


def switched_on(lines: list[str] | None = None) -> list[str]:
    """Return the lines of the example with its defaults and its suggestions as settings."""
    lines = EXAMPLE.read_text().splitlines() if lines is None else lines
    return [re.sub(r"^#(e\.g\. )?(?=[a-z_]+ = |\[)", "", line) for line in lines]


def example() -> dict[str, dict[str, tuple[str, str]]]:
    """Return what the example says: by section and key the mark before it and the value."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    section = ""
    for line in EXAMPLE.read_text().splitlines():
        if header := SECTION.fullmatch(line):
            section = header[1]
            parent, _, nested = section.rpartition(".")
            found.setdefault(parent, {})[nested] = ("", "")
        elif setting := SETTING.fullmatch(line):
            tomllib.loads(f"{setting[2]} = {setting[3]}")
            found.setdefault(section, {}).setdefault(setting[2], (setting[1], setting[3]))
    return found
