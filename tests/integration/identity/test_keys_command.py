"""`crossdock keys`, as an operator calls it."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from crossdock.config import DatabaseSettings, KeySettings, Settings
from crossdock.supervisor.environment import environment

KEY: Final = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IDEyMzQ="


class Command:
    """The command line, told of one database."""

    def __init__(self, settings: Settings) -> None:
        self._environment = environment(settings, os.environ)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "crossdock.cli.app", "keys", *arguments],
            env={**self._environment, "COLUMNS": "200", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return msgspec.json.decode(done.stdout)


@pytest.fixture
def command(new_database: Callable[[], DatabaseSettings]) -> Command:
    return Command(Settings(database=new_database(), keys=KeySettings(identity=KEY)))


def phases(command: Command) -> list[str]:
    return [key["phase"] for key in command.json("list")["items"]]


def test_a_rotation_is_seen_in_the_list(command: Command) -> None:
    assert command.json("list") == {"items": []}
    first = command.json("rotate")
    assert (first["algorithm"], first["phase"], first["ends_at"]) == ("EdDSA", "signing", None)
    second = command.json("rotate")
    assert second["phase"] == "published"
    assert phases(command) == ["published", "signing"]
    table = command.run("list").stdout
    assert first["kid"] in table
    assert second["kid"] in table
    again = command.run("rotate")
    assert again.returncode == 1
    assert again.stderr.startswith(f"crossdock: Key {second['kid']} is on its way already")
    third = command.json("rotate", "--now")
    assert third["phase"] == "signing"
    last = command.run("rotate", "--revoke-old")
    assert last.returncode == 0
    assert "All other keys ended" in last.stdout
    assert phases(command) == ["signing", "retired", "retired", "retired"]


def test_without_its_sealing_key_nothing_is_made(
    new_database: Callable[[], DatabaseSettings],
) -> None:
    command = Command(Settings(database=new_database()))
    done = command.run("rotate")
    assert done.returncode == 2
    assert done.stderr.startswith("crossdock: CROSSDOCK_KEYS__IDENTITY is not set")
    assert command.json("list") == {"items": []}
