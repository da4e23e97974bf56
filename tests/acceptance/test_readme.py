"""The README's walk-through and the page of examples do what they say, as they are written."""

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


EXPECTED: Final = {
    "": ['"slug":"globex"'],
    "Sources": [
        '"name":"payments, live"',
        '"state":"paused"',
        '"webhooks_per_minute":6000',
        "revoked: 204",
        "deleted: 204",
    ],
    "Destinations": ['"secret":"whsec_', '"state":"disabled"', '"items":[{"id":"dst_'],
    "Webhooks and events": ['{"id":"evt_', '"amount": 42'],
    "Deliveries, dead letters and replays": [
        '"reason":"attempts_exhausted"',
        '"attempts":[{"id":"att_',
        '"status":201,"delivery":{"id":"dlv_',
        '{"id":"rpl_',
    ],
    "Lists": ['"name":"payments, live"', "unchanged: 304"],
    "Sending again": ["idempotency-replayed: true"],
    "Rate limits": ['ratelimit-policy: "tenant";q=', 'ratelimit: "', '"usage":{'],
    "API keys": ['"requests_per_minute":600', "revoked: 204"],
    "People": ['"inherits":["viewer"]', '"email":"bob@globex.example"', "taken back: 204"],
    "The tenant": ['"name":"Globex Ltd"', '"action":"tenant.rename"'],
    "Errors": [
        '"pointer":"/name"',
        '"type":"/problems/unauthenticated"',
        '"type":"/problems/precondition-failed"',
        '"type":"/problems/idempotency-key-missing"',
        '"pointer":"?sort"',
    ],
    "For operators": ['"is_reachable":true', '"plan":"standard"', "ended: 204"],
    "Health": ['{"status":"ready"}'],
}
"""What the answers to the examples say, among other things, by heading."""


def walk_through() -> list[str]:
    """Return the commands for the second terminal, block by block."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = blocks(text[text.index(BEGINS) : text.index(ENDS)])
    assert found[0].startswith(START), "the first terminal's"
    assert len(found) >= 8
    return found[1:]


def sections() -> dict[str, str]:
    """Return the examples by their headings; what stands before the first is under none."""
    text = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    found = dict(zip(["", *parts[1::2]], parts[0::2], strict=True))
    return {heading: "\n".join(blocks(part)) for heading, part in found.items()}


def blocks(text: str) -> list[str]:
    """Return the commands of a text, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
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


def told(folder: tuple[Path, int], parts: list[str]) -> list[str]:
    """Run commands as one script, as their reader would; return what each part of it said."""
    path, port = folder
    marks = [f"echo '=== {number}'\n{part}" for number, part in enumerate(parts)]
    script = "set -e\n" + "\n".join(marks)
    done = subprocess.run(
        [str(BASH), "-c", script.replace(f":{PORT}", f":{port}")],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("=== ")[1:]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(BASH is None or shutil.which("curl") is None, reason="no bash or no curl")
def test_the_walk_through_works_as_written(folder: tuple[Path, int]) -> None:
    answers = told(folder, walk_through())
    everything = "".join(answers)
    assert '"/problems/' not in everything, everything
    assert "expires_at" in answers[1]
    assert "ann@example.com" in answers[1]
    assert '"roles":["owner"]' in answers[2]
    assert "bob@example.com" in answers[3]
    assert "whsec_" in answers[6]
    assert everything.count('"id":"evt_') == 5, everything
    # What Bob sees: deliveries, or none where the worker has not come to them yet; never a refusal.
    assert answers[7].rstrip().rpartition("\n")[2].rpartition('{"items":')[1], answers[7]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(BASH is None or shutil.which("curl") is None, reason="no bash or no curl")
def test_the_examples_work_as_written(folder: tuple[Path, int]) -> None:
    parts = sections()
    answers = dict(zip(parts, told(folder, list(parts.values())), strict=True))
    for heading, answer in answers.items():
        assert ('"/problems/' in answer) is (heading == "Errors"), answer
        for expected in EXPECTED[heading]:
            assert expected in answer, (heading, answer)
    assert EXPECTED.keys() == answers.keys()
    assert answers["Errors"].count('"type":"/problems/') == 5, answers["Errors"]


def test_only_the_port_is_replaced() -> None:
    assert "\n".join(walk_through()).count(f":{PORT}") == 1
    assert "\n".join(sections().values()).count(f":{PORT}") == 1
