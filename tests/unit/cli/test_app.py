"""The command line itself: what it offers, and how it says that something is wrong."""

import subprocess
import sys

import pytest

from crossdock import __version__
from crossdock.cli.app import COMMANDS


def _run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "crossdock.cli.app", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "100", "NO_COLOR": "1", **environment},
    )


def test_version() -> None:
    assert _run("--version").stdout == f"crossdock {__version__}\n"


def test_help_lists_every_command_with_a_sentence() -> None:
    done = _run("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"│ {name} ")]
        assert len(line.strip("│ ").split()) > 3


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = _run(name, "--help")
    assert done.returncode == 0
    assert f"Usage: crossdock {name}" in done.stdout


@pytest.mark.parametrize("command", ["up", "gateway", "worker", "migrate", "doctor"])
def test_wrong_settings_are_one_line_and_exit_code_two(command: str) -> None:
    done = _run(command, CROSSDOCK_DATABASE__URL="x", CROSSDOCK_NATS__REPLICAS="many")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("crossdock: ")
    assert len(done.stderr.splitlines()) == 1
    assert "replicas" in done.stderr


@pytest.mark.parametrize(("command", "key"), [("gateway", "SOURCES"), ("worker", "DESTINATIONS")])
def test_a_program_without_its_key_does_not_begin(command: str, key: str) -> None:
    done = _run(command)
    assert done.returncode == 2
    assert done.stderr.startswith(f"crossdock: CROSSDOCK_KEYS__{key} ")
    assert len(done.stderr.splitlines()) == 1


def test_a_role_that_does_not_exist_is_named() -> None:
    done = _run("worker", "--roles", "webhooks,magic")
    assert done.returncode == 2
    assert "webhooks, maintenance" in done.stderr


def test_a_worker_does_not_load_what_only_people_need() -> None:
    program = (
        "import sys; import crossdock.cli.app, crossdock.cli.worker, crossdock.cli.gateway;"
        "print([name for name in sys.modules if name.split('.')[0] in ('litestar', 'aiohttp')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
