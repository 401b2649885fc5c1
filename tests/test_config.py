"""The configuration: what it accepts, what it refuses, and how it says so."""

import contextlib
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from imipd.config import Config, ConfigError, PolicySection, find, load, override, passwords
from imipd.config.wording import sections
from imipd.mail import SPAM_HEADERS
from imipd.policy import Policy

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad-config").glob("*.toml"))
NO_ENVIRONMENT = {"PATH": "/nonexistent"}
GOOD = """
[caldav]
url = "https://dav.example.org/"
password = "hunter2"
[[account]]
addresses = ["alice@example.org"]
"""


def loaded(folder: Path, text: str, **environ: str) -> Config:
    file = folder / "imipd.toml"
    file.write_text(text)
    return load(file, environ)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return str(caught.value)


class TestBadConfig:
    @pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
    def test_every_mistake_is_told_in_these_words(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(file.parent)
        with pytest.raises(ConfigError) as caught:
            load(Path(file.name), NO_ENVIRONMENT)
        assert f"{caught.value}\n" == file.with_suffix(".expected").read_text()

    @pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
    def test_no_secret_is_told(self, file: Path) -> None:
        assert "hunter2" not in file.with_suffix(".expected").read_text()

    def test_there_are_no_expectations_without_a_mistake(self) -> None:
        assert {file.stem for file in BAD} == {file.stem for file in (HERE / "bad-config").glob("*.expected")}

    def test_the_cause_that_would_show_values_is_not_chained(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as caught:
            loaded(tmp_path, GOOD.replace('"hunter2"', "17"))
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


KEYS = sorted({key for model in sections().values() for key in model.model_fields} | {"x"})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["", "1s", "a@b.c"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)


@settings(deadline=None)
@given(document=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_document_gives_settings_or_problems(document: dict[str, object]) -> None:
    with patch("imipd.config.file._document", return_value=document), contextlib.suppress(ConfigError):
        load(Path("imipd.toml"), NO_ENVIRONMENT)


class TestWhere:
    def test_a_named_file_comes_first(self) -> None:
        assert find(Path("a.toml"), {"IMIPD_CONFIG": "b.toml"}) == Path("a.toml")

    def test_then_the_environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "imipd.toml").touch()
        assert find(None, {"IMIPD_CONFIG": "b.toml"}) == Path("b.toml")

    def test_then_the_folder_then_etc(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("imipd.served.PLACES", ("imipd.toml", str(tmp_path / "etc.toml")))
        assert find(None, {"IMIPD_CONFIG": ""}) is None
        (tmp_path / "etc.toml").touch()
        assert find(None, {}) == tmp_path / "etc.toml"
        (tmp_path / "imipd.toml").touch()
        assert find(None, {}) == Path("imipd.toml")

    def test_no_file_at_all_is_a_problem(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("imipd.served.PLACES", ())
        with pytest.raises(ConfigError, match="nothing found"):
            load(None, {})

    def test_a_missing_file_is_a_problem(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
            load(tmp_path / "none.toml", {})


class TestValues:
    def test_the_contract_loads(self, tmp_path: Path) -> None:
        for name in ("master-password", "alice"):
            (tmp_path / name).write_text("hunter2\n")
        config = loaded(tmp_path, CONTRACT)
        assert config.lmtp.listen == ("127.0.0.1:2424", "unix:/run/imipd/lmtp.sock")
        assert config.smtp is not None
        assert config.smtp.listen == ("127.0.0.1:2525",)
        assert config.caldav.timeout == timedelta(seconds=10)
        assert config.caldav.patience == timedelta(hours=24)
        assert config.ledger.keep_days == 30
        assert config.policy_of(config.account[0]) == Policy(invitations="add")
        assert config.policy_of(config.domain[0]) == Policy()
        assert config.domain[0].also == ("imip.invalid",)
        assert passwords(config, {}) == ("hunter2", "hunter2")

    def test_without_a_file_the_defaults_hold_and_nobody_is_served(self) -> None:
        assert Config().places == ()
        assert Config().file is None
        assert Config().policy.applied_to(Policy()) == Policy()

    def test_defaults_are_those_of_the_rooms(self) -> None:
        assert PolicySection().applied_to(Policy()) == Policy(**PolicySection().model_dump())
        assert Config().spam.headers == SPAM_HEADERS

    @pytest.mark.parametrize(
        ("text", "seconds"), [("500ms", 0.5), ("10s", 10), ("1.5h", 5400), ("5 m", 300), ("7d", 604800)]
    )
    def test_durations(self, tmp_path: Path, text: str, seconds: float) -> None:
        config = loaded(tmp_path, GOOD.replace("[caldav]", f'[caldav]\ntimeout = "{text}"'))
        assert config.caldav.timeout.total_seconds() == seconds

    @pytest.mark.parametrize(("text", "size"), [('"25 MiB"', 26214400), ('"1kB"', 1000), ("17", 17), ('"9 B"', 9)])
    def test_sizes(self, tmp_path: Path, text: str, size: int) -> None:
        assert loaded(tmp_path, f"[limits]\nmail = {text}\n{GOOD}").limits.mail == size

    @pytest.mark.parametrize("place", ["[::1]:24", "localhost:2424", "127.0.0.1:0", "unix:/run/a b.sock"])
    def test_places_to_listen(self, tmp_path: Path, place: str) -> None:
        assert loaded(tmp_path, f'[lmtp]\nlisten = "{place}"\n{GOOD}').lmtp.listen == (place,)

    def test_a_unix_socket_has_a_path_that_the_kernel_takes(self, tmp_path: Path) -> None:
        assert "not a place" in refusal(tmp_path, f'[lmtp]\nlisten = "unix:/{"a" * 107}"\n{GOOD}')
        assert loaded(tmp_path, f'[lmtp]\nlisten = "unix:/{"a" * 106}"\n{GOOD}')

    def test_an_account_overrides_single_keys_of_the_policy_even_back_to_the_default(self, tmp_path: Path) -> None:
        policy = '[policy]\ninvitations = "add"\ncancelled = "delete"\n'
        config = loaded(tmp_path, f'{policy}{GOOD}[account.policy]\ninvitations = "ignore"\n')
        assert config.policy_of(config.account[0]) == Policy(invitations="ignore", cancelled="delete")

    def test_a_byte_order_mark_is_no_mistake(self, tmp_path: Path) -> None:
        assert loaded(tmp_path, f"\ufeff{GOOD}").account

    def test_values_are_frozen(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="frozen"):
            loaded(tmp_path, GOOD).caldav.url = "https://dav.example.net/"  # type: ignore[misc]

    def test_secrets_are_not_in_repr(self, tmp_path: Path) -> None:
        ledger = '[ledger]\nurl = "postgresql://imipd:hunter2@db.example.org/imipd"\n'
        command = 'password_command = ["/bin/echo", "hunter2"]\n'
        assert "hunter2" not in repr(loaded(tmp_path, ledger + GOOD + command))

    def test_secrets_are_not_in_the_words_of_the_models(self) -> None:
        with pytest.raises(ValidationError) as caught:
            Config.model_validate({"caldav": {"pasword": "hunter2"}})
        assert "hunter2" not in str(caught.value)


class TestOverride:
    def test_single_keys(self) -> None:
        assert override(Policy(sender="any"), {"invitations": "add"}) == Policy(sender="any", invitations="add")

    def test_mistakes_are_told_like_those_of_a_file(self) -> None:
        with pytest.raises(ConfigError) as caught:
            override(Policy(), {"invitation": "add", "cancelled": "x"})
        assert str(caught.value).splitlines() == [
            "policy: 2 problems",
            '  policy.cancelled: "x" is not a choice. Write one of "mark", "delete"',
            "  policy.invitation: unknown key. Did you mean invitations?",
        ]


CONTRACT = """
[lmtp]
listen = ["127.0.0.1:2424", "unix:/run/imipd/lmtp.sock"]
unknown_recipients = "reject"
[smtp]
listen = "127.0.0.1:2525"
[ledger]
url = "sqlite:////var/lib/imipd/ledger.db"
keep_days = 30
[caldav]
url = "https://dav.example.org/"
username = "{user}"
password_file = "master-password"
timeout = "10s"
patience = "24h"
[policy]
invitations = "ignore"
cancelled = "mark"
party_crashers = "ignore"
published = "ignore"
sender = "from"
authserv_id = "mx.example.org"
[[account]]
addresses = ["alice@example.org", "alice.smith@example.org"]
user = "alice"
calendar = "Work"
password_file = "alice"
[account.policy]
invitations = "add"
[[domain]]
name = "example.org"
user = "{localpart}"
also = ["imip.invalid"]
"""
