"""Whose mail is this: exact addresses, whole domains, and what a stranger's local part may not do."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from imipd.accounts import Account, Accounts
from imipd.accounts.configured import Directory
from imipd.config import Config, ConfigError, load
from imipd.policy import Policy
from imipd.store import Home

CALDAV = """
[caldav]
url = "https://dav.example.org/{user}/"
password = "hunter2"
"""
ALICE = """
[[account]]
addresses = ["Alice@example.org", "alice.smith@example.org"]
user = "alice"
"""
DOMAIN = """
[[domain]]
name = "Example.org"
user = "{localpart}"
also = ["imip.invalid", "example.com"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def directory(folder: Path, text: str, **environ: str) -> Directory:
    file = folder / "imipd.toml"
    file.write_text(text)
    return Directory(load(file, environ), environ)


def served(accounts: Accounts, address: str) -> Account:
    account = accounts.account_of(address)
    assert account is not None
    return account


class TestExact:
    def test_an_account_as_configured(self, folder: Path) -> None:
        text = f'{CALDAV}timeout = "3s"\n{ALICE}calendar = "Work"\n[account.policy]\ninvitations = "add"\n'
        assert served(directory(folder, text), "alice@example.org") == Account(
            name="alice",
            addresses=("alice@example.org", "alice.smith@example.org"),
            home=Home("https://dav.example.org/alice/", "alice", "hunter2", timeout=3.0, calendar="Work"),
            policy=Policy(invitations="add"),
        )

    @pytest.mark.parametrize(
        "address",
        ["alice@example.org", " ALICE@Example.ORG ", "alice.smith+x@example.org", "mailto:alice@example.org"],
    )
    def test_any_case_and_any_detail(self, folder: Path, address: str) -> None:
        assert served(directory(folder, CALDAV + ALICE), address).name == "alice"

    @pytest.mark.parametrize("address", ["bob@example.org", "alice@example.net", "alice", "", "@", "@example.org"])
    def test_others_are_not_served(self, folder: Path, address: str) -> None:
        accounts = directory(folder, CALDAV + ALICE)
        assert accounts.account_of(address) is None
        assert not accounts.serves(address)

    def test_googlemail_is_gmail(self, folder: Path) -> None:
        accounts = directory(folder, f'{CALDAV}[[account]]\naddresses = "bob@googlemail.com"')
        assert served(accounts, "bob+x@gmail.com").addresses == ("bob@gmail.com",)

    def test_a_detail_that_is_listed_alone_serves_only_itself(self, folder: Path) -> None:
        accounts = directory(folder, f'{CALDAV}[[account]]\naddresses = "bob+work@example.org"')
        assert accounts.serves("Bob+Work@example.org")
        assert not accounts.serves("bob@example.org")
        assert not accounts.serves("bob+home@example.org")

    def test_without_user_it_is_the_first_address(self, folder: Path) -> None:
        account = served(directory(folder, f'{CALDAV}[[account]]\naddresses = "Bob@example.org"'), "bob@example.org")
        assert account.name == "bob@example.org"
        assert account.home.username == "bob@example.org"
        assert account.home.url == "https://dav.example.org/bob@example.org/"

    def test_its_own_url_username_and_password(self, folder: Path) -> None:
        own = 'url = "http://localhost/{localpart}"\nusername = "{domain}/{user}"\npassword_env = "ALICE"\n'
        account = served(directory(folder, CALDAV + ALICE + own, ALICE="x"), "alice@example.org")
        assert account.home == Home("http://localhost/alice", "example.org/alice", "x")

    def test_whom_it_trusts_is_its_own_choice_or_that_of_all(self, folder: Path) -> None:
        for name in ("ours.pem", "hers.pem"):
            trustme.CA().cert_pem.write_to_path(folder / name)
        bob = '[[account]]\naddresses = "bob@example.org"\n'
        accounts = directory(folder, f'{CALDAV}ca_file = "ours.pem"\n{bob}{ALICE}ca_file = "hers.pem"\n')
        assert served(accounts, "bob@example.org").home.ca_file == str(folder / "ours.pem")
        assert served(accounts, "alice@example.org").home.ca_file == str(folder / "hers.pem")

    def test_a_password_that_cannot_be_had_is_told(self, folder: Path) -> None:
        with pytest.raises(ConfigError, match="password_command: /bin/false ended with exit code 1"):
            directory(folder, f'{CALDAV}{ALICE}password_command = ["/bin/false"]')


class TestDomain:
    def test_every_address_of_it(self, folder: Path) -> None:
        assert served(directory(folder, CALDAV + DOMAIN), "Bob+list@EXAMPLE.org") == Account(
            name="bob@example.org",
            addresses=("bob@example.org", "bob@imip.invalid", "bob@example.com"),
            home=Home("https://dav.example.org/bob/", "bob", "hunter2"),
            policy=Policy(),
            by_domain=True,
        )

    def test_a_copy_belongs_to_the_same_address(self, folder: Path) -> None:
        accounts = directory(folder, CALDAV + DOMAIN)
        assert accounts.account_of("bob@imip.invalid") == accounts.account_of("bob@example.org")

    def test_an_account_comes_first_even_for_a_copy(self, folder: Path) -> None:
        accounts = directory(folder, CALDAV + DOMAIN + ALICE)
        for address in ("alice@example.org", "alice+x@imip.invalid", "Alice.Smith@example.com"):
            assert served(accounts, address).name == "alice"
        assert served(accounts, "bob@example.org").by_domain

    def test_a_copy_keeps_the_detail_that_an_account_lists(self, folder: Path) -> None:
        accounts = directory(folder, f'{CALDAV}{DOMAIN}[[account]]\naddresses = "bob+work@example.org"')
        assert served(accounts, "bob+work@imip.invalid").name == "bob+work@example.org"
        assert served(accounts, "bob+home@imip.invalid").name == "bob@example.org"

    def test_its_host_may_be_in_the_url(self, folder: Path) -> None:
        text = f'{CALDAV}{DOMAIN}url = "https://dav.{{domain}}/{{address}}"\n'
        assert served(directory(folder, text), "bob@imip.invalid").home.url == "https://dav.example.org/bob@example.org"

    def test_its_policy(self, folder: Path) -> None:
        accounts = directory(folder, f'{CALDAV}{DOMAIN}[domain.policy]\npublished = "add"\n')
        assert served(accounts, "bob@example.org").policy == Policy(published="add")

    def test_domains_of_others_are_not_served(self, folder: Path) -> None:
        accounts = directory(folder, CALDAV + DOMAIN)
        for address in ("bob@example.net", "bob@sub.example.org", "bob@org", "example.org"):
            assert not accounts.serves(address)


class TestStrangers:
    @pytest.mark.parametrize(
        "local", ["", " ", ".", "..", "../alice", "x/../alice", "x\\..\\alice", "./x", "..+x", "a:b"]
    )
    def test_local_parts_that_would_lead_elsewhere_are_not_served(self, folder: Path, local: str) -> None:
        assert not directory(folder, CALDAV + DOMAIN).serves(f"{local}@example.org")

    @pytest.mark.parametrize("char", ["\n", "\r", "\0", "\x7f", "\x85", "\u2028", "\u202e", "\udcff"])
    def test_control_characters_are_not_served(self, folder: Path, char: str) -> None:
        accounts = directory(folder, CALDAV + DOMAIN)
        assert not accounts.serves(f"a{char}b@example.org")
        assert not accounts.serves(f"{char}b@example.org") or not char.strip()

    @pytest.mark.parametrize(
        ("local", "segment"),
        [
            ("a/b", "a%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("a..b", "a..b"),
            ("100%", "100%25"),
            ("%2e%2e", "%252e%252e"),
            ("{user}", "%7Buser%7D"),
            ("bøb", "b%C3%B8b"),
            ("o'brien", "o%27brien"),
            ('"a@b"', "%22a@b%22"),
        ],
    )
    def test_local_parts_stay_one_segment_of_the_path(self, folder: Path, local: str, segment: str) -> None:
        home = served(directory(folder, CALDAV + DOMAIN), f"{local}@example.org").home
        assert home.url == f"https://dav.example.org/{segment}/"
        assert home.username == local

    @settings(deadline=None)
    @given(local=st.text(max_size=20) | st.text("./\\%?#@:+a{}\r\n ", max_size=8))
    def test_whatever_comes_stays_where_it_belongs(self, local: str) -> None:
        config = Config.model_validate(
            {
                "caldav": {"url": "https://dav.example.org/dav/{user}/", "password": "x"},
                "domain": [{"name": "example.org", "user": "{localpart}"}],
            }
        )
        account = Directory(config, {}).account_of(f"{local}@example.org")
        if account is not None:
            split = urlsplit(account.home.url)
            assert (split.scheme, split.netloc, split.query, split.fragment) == ("https", "dav.example.org", "", "")
            empty, dav, user, end = split.path.split("/")
            assert (empty, dav, end) == ("", "dav", "")
            assert unquote(user) == account.home.username
            assert not {".", ".."} & set(unquote(user).replace("\\", "/").split("/"))
            assert account.home.username.isprintable()
