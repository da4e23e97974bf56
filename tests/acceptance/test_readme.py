"""The README's walk-through does what it says, as it is written."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from crossdock.embedded.ports import free_port

ROOT: Final = Path(__file__).parents[2]
BEGINS: Final = "## Use it"
ENDS: Final = "## Read on"
START: Final = "make up "
PORT: Final = "8080"
UP_S: Final = 120.0
BASH: Final = shutil.which("bash")


def walk_through() -> list[str]:
    """Return the commands for the second terminal, block by block."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index(BEGINS) : text.index(ENDS)]
    blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert blocks[0].startswith(START), "the first terminal's"
    assert len(blocks) >= 8
    return blocks[1:]


@pytest.fixture
def folder() -> Iterator[tuple[Path, int]]:
    """A folder with a running stack, as `make up` leaves it, and its port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="crossdock-test-") as name:
        path = Path(name)
        activate = path / ".venv" / "bin" / "activate"
        activate.parent.mkdir(parents=True)
        activate.write_text(f'PATH="{Path(sys.executable).parent}:$PATH"\n')
        command = [str(Path(sys.executable).with_name("crossdock")), "up", "--port", str(port)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CROSSDOCK_")}
        with (path / "log").open("wb") as log:
            stack = subprocess.Popen(command, cwd=path, env=environment, stdout=log, stderr=log)
        try:
            _wait(stack, port, path / "log")
            yield path, port
        finally:
            stack.terminate()
            stack.wait(60)


def _wait(stack: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    command = ["curl", "-sf", "--retry", "600", "--retry-delay", "0", "--retry-all-errors"]
    command += ["--retry-max-time", f"{UP_S:.0f}", f"http://127.0.0.1:{port}/health/ready"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=UP_S + 10)
    assert done.returncode == 0, log.read_text()
    assert stack.poll() is None


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(BASH is None or shutil.which("curl") is None, reason="no bash or no curl")
def test_the_walk_through_works_as_written(folder: tuple[Path, int]) -> None:
    path, port = folder
    marks = [f"echo '=== {number}'\n{block}" for number, block in enumerate(walk_through())]
    script = "set -e\n" + "\n".join(marks)
    script = script.replace(f":{PORT}", f":{port}")
    done = subprocess.run(
        [str(BASH), "-c", script],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers = done.stdout.split("=== ")
    assert '"/problems/' not in done.stdout, done.stdout
    assert "expires_at" in answers[2]
    assert "ann@example.com" in answers[2]
    assert '"roles":["owner"]' in answers[3]
    assert "bob@example.com" in answers[4]
    assert "whsec_" in answers[7]
    assert done.stdout.count('"id":"evt_') == 5, done.stdout
    # What Bob sees: deliveries, or none where the worker has not come to them yet; never a refusal.
    assert answers[8].rstrip().rpartition("\n")[2].rpartition('{"items":')[1], answers[8]


def test_only_the_port_is_replaced() -> None:
    assert "\n".join(walk_through()).count(f":{PORT}") == 1
