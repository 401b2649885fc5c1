"""Passwords, wherever they are kept, and what `check` says of how they are kept."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from imipd.config import Config, ConfigError, load, passwords, warnings
from imipd.config.settings import Forward, Web
from settings_table import toml

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


class TestPasswords:
    def password(self, folder: Path, line: str, **environ: str) -> str:
        return passwords(loaded(folder, GOOD + line, **environ), environ)[0]

    @pytest.mark.parametrize(
        ("content", "password"),
        [(b"a b \n", "a b "), (b"x\r\n", "x"), (b"x\n\n", "x\n"), ("pä".encode(), "pä")],
    )
    def test_a_file_loses_one_newline(self, tmp_path: Path, content: bytes, password: str) -> None:
        (tmp_path / "pw").write_bytes(content)
        assert self.password(tmp_path, 'password_file = "pw"') == password

    def test_the_environment(self, tmp_path: Path) -> None:
        assert self.password(tmp_path, 'password_env = "ALICE"', ALICE="x") == "x"

    def test_a_credential_of_systemd(self, tmp_path: Path) -> None:
        (tmp_path / "caldav").write_text("x\n")
        line = 'password_credential = "caldav"'
        assert self.password(tmp_path, line, CREDENTIALS_DIRECTORY=str(tmp_path)) == "x"

    @pytest.mark.parametrize(
        ("content", "text"),
        [(None, r"no such credential that can be read \(No such file or directory\)"), ("", "holds no password")],
    )
    def test_a_credential_that_is_not_there_is_told_without_its_name(
        self, tmp_path: Path, content: str | None, text: str
    ) -> None:
        if content is not None:
            (tmp_path / "hunter2").write_text(content)
        with pytest.raises(ConfigError, match=f"password_credential: .*{text}") as caught:
            loaded(tmp_path, f'{GOOD}password_credential = "hunter2"', CREDENTIALS_DIRECTORY=str(tmp_path))
        assert "hunter2" not in str(caught.value)

    def test_without_systemd_a_credential_is_missed_only_when_it_is_needed(self, tmp_path: Path) -> None:
        config = loaded(tmp_path, f'{GOOD}password_credential = "caldav"')
        with pytest.raises(ConfigError, match=r"there is no \$CREDENTIALS_DIRECTORY"):
            passwords(config, {})

    @pytest.mark.parametrize("name", ["a/b", "..", ".", "", "a b", "a:b", "x" * 256])
    def test_what_is_no_name_of_a_credential(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="is not the name of a credential"):
            loaded(tmp_path, f'{GOOD}password_credential = "{name}"')

    def test_a_command_sees_no_shell(self, tmp_path: Path) -> None:
        assert self.password(tmp_path, 'password_command = ["/bin/echo", "$HOME; id"]') == "$HOME; id"

    def test_a_command_is_found_in_path_and_sees_the_environment(self, tmp_path: Path) -> None:
        program = tmp_path / "pass"
        program.write_text('#!/bin/sh\necho "$1 $SECRET"\n')
        program.chmod(0o700)
        assert self.password(tmp_path, 'password_command = ["pass", "a"]', PATH=str(tmp_path), SECRET="b") == "a b"

    def test_without_its_own_an_account_has_that_of_caldav(self, tmp_path: Path) -> None:
        bob = 'password_env = "ALICE"\n[[account]]\naddresses = "bob@example.org"\n'
        config = loaded(tmp_path, GOOD + bob, ALICE="x")
        assert passwords(config, {"ALICE": "x"}) == ("x", "hunter2")

    @pytest.mark.parametrize(
        ("script", "text"),
        [
            ("echo hunter2; exit 3", "ended with exit code 3."),
            ("true", "printed no password."),
            ("printf '\\377'", "printed no password."),
        ],
    )
    def test_commands_that_fail_are_all_told_without_what_they_print(
        self, tmp_path: Path, script: str, text: str
    ) -> None:
        command = f"password_command = {toml(['/bin/sh', '-c', script.replace(chr(92), chr(92) * 2)])}\n"
        config = loaded(tmp_path, GOOD + command + f'[[domain]]\nname = "example.org"\n{command}')
        with pytest.raises(ConfigError) as caught:
            passwords(config, {})
        advice = "Run it by hand as the user that imipd runs as"
        assert str(caught.value).splitlines() == [
            f"{tmp_path}/imipd.toml: 2 problems",
            f"  [[account]] alice@example.org: password_command: /bin/sh {text} {advice}",
            f"  [[domain]] example.org: password_command: /bin/sh {text} {advice}",
        ]

    def test_a_command_that_hangs_is_given_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("imipd.config.secret.COMMAND_SECONDS", 0.1)
        with pytest.raises(ConfigError, match="took longer than"):
            self.password(tmp_path, 'password_command = ["/bin/sleep", "5"]')

    def test_a_command_is_not_run_while_loading(self, tmp_path: Path) -> None:
        loaded(tmp_path, f'{GOOD}password_command = ["/bin/touch", "{tmp_path}/ran"]')
        assert not (tmp_path / "ran").exists()


class TestWarnings:
    def test_a_careful_configuration_has_none(self, tmp_path: Path) -> None:
        secret = tmp_path / "pw"
        secret.write_text("x")
        secret.chmod(0o600)
        file = GOOD.replace('password = "hunter2"', 'password_file = "pw"')
        assert warnings(loaded(tmp_path, file)) == ()

    def test_files_that_others_can_read(self, tmp_path: Path) -> None:
        (tmp_path / "pw").write_text("x")
        (tmp_path / "pw").chmod(0o640)
        config = loaded(tmp_path, f'{GOOD}password_file = "pw"')
        (tmp_path / "imipd.toml").chmod(0o644)
        password_file, itself = warnings(config)
        assert f"{tmp_path}/pw: holds a password and its mode 0640 lets group read it." in password_file
        assert f"{tmp_path}/imipd.toml: holds a password and its mode 0644 lets group and others" in itself

    def test_a_database_password_is_one_too(self, tmp_path: Path) -> None:
        (tmp_path / "pw").write_text("x")
        (tmp_path / "pw").chmod(0o600)
        ledger = '[ledger]\nurl = "postgresql://imipd:hunter2@db.example.org/imipd"\n'
        config = loaded(tmp_path, ledger + GOOD.replace('password = "hunter2"', 'password_file = "pw"'))
        (tmp_path / "imipd.toml").chmod(0o644)
        assert "imipd.toml: holds a password" in warnings(config)[0]

    @pytest.fixture
    def careful(self, tmp_path: Path) -> Config:
        """Return a configuration with files of every kind, all for their owner alone."""
        (tmp_path / "data").mkdir(mode=0o700)
        for name in ("pw", "key.pem", "data/ledger.db", "data/ledger.db-wal"):
            (tmp_path / name).write_text("x")
        more = (
            f'[ledger]\nurl = "sqlite:///{tmp_path}/data/ledger.db"\n'
            '[smtp]\nlisten = "127.0.0.1:2525"\ntls_certificate = "cert.pem"\ntls_key = "key.pem"\n'
        )
        config = loaded(tmp_path, more + GOOD.replace('password = "hunter2"', 'password_file = "pw"'))
        for path in ("pw", "key.pem", "data/ledger.db", "data/ledger.db-wal", "imipd.toml"):
            (tmp_path / path).chmod(0o600)
        assert warnings(config) == ()
        return config

    @pytest.mark.parametrize(
        ("name", "mode", "text"),
        [
            ("pw", 0o640, "holds a password and its mode 0640 lets group read it."),
            ("pw", 0o602, "holds a password and its mode 0602 lets others change it."),
            ("key.pem", 0o644, "holds a private key and its mode 0644 lets group and others read it."),
            ("imipd.toml", 0o664, "says what imipd does and its mode 0664 lets group change it."),
            ("data/ledger.db", 0o666, "tells who meets whom and its mode 0666 lets group and others read and change"),
            ("data/ledger.db-wal", 0o604, "tells who meets whom and its mode 0604 lets others read it."),
            ("data", 0o770, "is the ledger's folder and its mode 0770 lets group change it."),
        ],
    )
    def test_what_others_can_read_or_change(
        self, tmp_path: Path, careful: Config, name: str, mode: int, text: str
    ) -> None:
        (tmp_path / name).chmod(mode)
        (found,) = warnings(careful)
        assert found.startswith(f"{tmp_path}/{name}: {text}")

    @pytest.mark.parametrize(("name", "mode"), [("imipd.toml", 0o644), ("data", 0o755), ("data", 0o1777)])
    def test_what_others_may_do(self, tmp_path: Path, careful: Config, name: str, mode: int) -> None:
        (tmp_path / name).chmod(mode)
        assert warnings(careful) == ()

    def test_whose_they_are(self, tmp_path: Path, careful: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        """Root's files and imipd's own are as they should be; root itself does not know whose they should be."""
        owner = (tmp_path / "pw").stat().st_uid
        monkeypatch.setattr("imipd.config.exposure.os.geteuid", lambda: owner)
        assert warnings(careful) == ()
        monkeypatch.setattr("imipd.config.exposure.os.geteuid", lambda: 54321)
        told = [f"{tmp_path}/{name}: " for name in ("pw", "key.pem", "imipd.toml", "data/ledger.db", "data")]
        found = warnings(careful)
        if owner == 0:
            assert found == ()
            monkeypatch.setattr("imipd.config.exposure.ROOT", -1)
            found = warnings(careful)
        assert [any(each.startswith(name) and "belongs to " in each for each in found) for name in told] == [True] * 5

    @pytest.mark.parametrize(
        ("place", "told"), [("0.0.0.0:2480", True), ("[::1]:2480", False), ("127.0.0.1:2480", False)]
    )
    def test_figures_for_everybody(self, careful: Config, place: str, told: bool) -> None:
        found = warnings(careful.model_copy(update={"web": Web(listen=place)}))
        assert [each.partition(":")[0] for each in found] == ["web.listen"] * told

    def test_a_next_hop_of_which_others_can_make_use(self, careful: Config) -> None:
        """What the MTA would keep, and what strangers may send."""
        smtp = careful.smtp
        assert smtp is not None
        forward = Forward(lmtp="127.0.0.1:24")
        assert warnings(careful.model_copy(update={"forward": forward})) == ()
        passing = forward.model_copy(update={"on_unavailable": "pass"})
        (found,) = warnings(careful.model_copy(update={"forward": passing}))
        assert found.startswith('forward.on_unavailable: "pass" loses a message')
        neighbours = smtp.model_copy(update={"allow_from": (ip_network("192.0.2.0/24"),)})
        (found,) = warnings(careful.model_copy(update={"forward": forward, "smtp": neighbours}))
        assert found.startswith("smtp.allow_from: with [forward] whoever is let in")

    def test_a_network_of_everybody(self, careful: Config) -> None:
        smtp = careful.smtp
        assert smtp is not None
        everybody = smtp.model_copy(update={"allow_from": (ip_network("10.0.0.0/8"), ip_network("::/0"))})
        (found,) = warnings(careful.model_copy(update={"smtp": everybody}))
        assert found.startswith("smtp.allow_from: lets everybody in")

    @pytest.mark.parametrize(
        ("host", "number"), [("dav.example.org", 1), ("127.0.0.1", 0), ("localhost", 0), ("[::1]:5232", 0)]
    )
    def test_passwords_in_the_clear(self, tmp_path: Path, host: str, number: int) -> None:
        config = loaded(tmp_path, GOOD.replace("https://dav.example.org", f"http://{host}"))
        (tmp_path / "imipd.toml").chmod(0o600)
        assert ["in the clear" in each for each in warnings(config)] == [True] * number

    @pytest.mark.parametrize(
        ("policy", "text"),
        [
            ('cancelled = "delete"', "lets a forged mail delete an event"),
            ('cancelled = "delete"\nsender = "any"', "lets a forged mail delete an event"),
        ],
    )
    def test_policies_that_are_unwise(self, tmp_path: Path, policy: str, text: str) -> None:
        head = '[policy]\nauthserv_id = "mx.example.org"\n'
        config = loaded(tmp_path, f"{head}{GOOD}[account.policy]\n{policy}\n")
        (tmp_path / "imipd.toml").chmod(0o600)
        (found,) = warnings(config)
        assert found.startswith("[[account]] alice@example.org: ")
        assert text in found

    @pytest.mark.parametrize("sender", ["dkim", "dmarc"])
    def test_who_is_proven_may_delete(self, tmp_path: Path, sender: str) -> None:
        """S6."""
        config = loaded(tmp_path, f'{GOOD}[account.policy]\nsender = "{sender}"\ncancelled = "delete"\n')
        (tmp_path / "imipd.toml").chmod(0o600)
        assert warnings(config) == ()
