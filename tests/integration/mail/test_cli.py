"""`crossdock mail`, as a person at a shell uses it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossdock import ids
from crossdock.config import MailSettings, Settings
from crossdock.mail.folder import MailFolder
from crossdock.mail.letters import Letters, written
from crossdock.mail.message import Sender, compose
from crossdock.mail.model import Mail
from crossdock.supervisor.environment import environment

SENDER = Sender("Crossdock <no-reply@localhost>")
LETTERS = Letters("http://127.0.0.1:8080")


class Shell:
    """Runs the command on one folder of letters."""

    def __init__(self, folder: Path) -> None:
        self.folder = MailFolder(folder)
        self.environment = environment(Settings(mail=MailSettings(folder=folder)))

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start it."""
        return subprocess.Popen(
            [sys.executable, "-m", "crossdock.cli.app", "mail", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run it to its end."""
        process = self.start(*words)
        out, error = process.communicate(timeout=30)
        return process.returncode, out, error

    def json(self, *words: str) -> Any:
        """Return what it answers as JSON."""
        code, out, error = self.run(*words, "--json")
        assert code == 0, error
        return msgspec.json.decode(out)

    async def put(self, mail: Mail) -> None:
        """Let a letter arrive."""
        await self.folder.send(compose(ids.new(), mail, SENDER))


def signup(to: str, token: str) -> Mail:
    """A letter with a token."""
    moment = ids.time_of(ids.new())
    return LETTERS.verify_address(to, name="Ann", tenant="Acme", token=token, expires_at=moment)


def reset(to: str, token: str) -> Mail:
    """Another."""
    moment = ids.time_of(ids.new())
    return LETTERS.password_reset(to, tenant="Acme", token=token, expires_at=moment)


def changed(to: str) -> Mail:
    """A letter without one."""
    return written("password-changed", to, "Your password was changed", "Hello.")


@pytest.fixture
async def shell(tmp_path: Path) -> Shell:
    found = Shell(tmp_path / "mail")
    await found.put(signup("ann@example.com", "first-token"))
    await found.put(signup("bob@example.com", "other-token"))
    await found.put(reset("ann@example.com", "second-token"))
    await found.put(changed("ann@example.com"))
    return found


async def test_letters_are_listed_the_newest_last(shell: Shell) -> None:
    items = shell.json()["items"]
    assert [item["number"] for item in items] == [1, 2, 3, 4]
    assert [item["kind"] for item in items] == [
        "signup",
        "signup",
        "password-reset",
        "password-changed",
    ]
    assert shell.json("list", "--to", "ANN@example.com")["items"] == [
        item for item in items if item["to"] == "ann@example.com"
    ]
    assert shell.json("--to", "bob@example.com")["items"] == [items[1]]
    code, out, _ = shell.run()
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["1", "2", "3", "4"]
    assert "first-token" not in out


async def test_a_letter_is_shown_by_its_number_or_as_the_latest(shell: Shell) -> None:
    code, out, _ = shell.run("show", "1")
    assert code == 0
    assert "To: ann@example.com" in out
    assert "\n    first-token\n" in out
    assert shell.json("show")["number"] == 4
    assert shell.json("show", "latest", "--to", "bob@example.com")["token"] == "other-token"
    code, out, error = shell.run("show", "17")
    assert (code, out) == (1, "")
    assert error == "crossdock: There is no such letter.\n"


async def test_a_token_is_printed_alone(shell: Shell) -> None:
    assert shell.run("token", "--to", "ann@example.com") == (0, "second-token\n", "")
    assert shell.run("token", "--to", "ann@example.com", "--kind", "signup")[1] == "first-token\n"
    assert shell.json("token", "--to", "bob@example.com")["token"] == "other-token"
    code, out, error = shell.run("token", "--to", "carl@example.com")
    assert (code, out, error) == (1, "", "crossdock: There is no letter yet.\n")


async def test_it_waits_for_a_letter(shell: Shell) -> None:
    # It has not ended while there is none: it is alive when the letter comes, or it would fail.
    process = shell.start("token", "--to", "carl@example.com", "--wait", "30")
    await shell.put(changed("carl@example.com"))
    await shell.put(signup("dora@example.com", "no"))
    await shell.put(signup("carl@example.com", "awaited-token"))
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error) == (0, "awaited-token\n", "")


async def test_an_empty_folder_is_no_failure(tmp_path: Path) -> None:
    shell = Shell(tmp_path / "none")
    assert shell.run() == (0, "", "")
    assert shell.json() == {"items": []}
    assert shell.run("show")[0] == 1


async def test_it_says_where_letters_go_if_not_into_a_folder(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.environment = environment(Settings(mail=MailSettings(smtp_host="mail.example.com")))
    code, out, error = shell.run()
    assert (code, out) == (2, "")
    assert "mail.example.com" in error
    shell.environment = environment(Settings())
    code, _, error = shell.run()
    assert code == 2
    assert "CROSSDOCK_MAIL__FOLDER" in error


async def test_options_before_a_command_are_not_lost_without_a_word(shell: Shell) -> None:
    code, _, error = shell.run("--to", "bob@example.com", "show")
    assert code == 2
    assert "after the command" in error
