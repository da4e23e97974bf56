"""What `crossdock events republish` refuses before it asks any server."""

import os
import subprocess
import sys
from typing import Final

import pytest

TENANT: Final = "ten_01h455vb4pex5vsknk084sn02q"
WRONG: Final = {
    "nobody's": ([], "Say whose events"),
    "one's and all": (["--tenant", TENANT, "--all-tenants"], "Say whose events"),
    "from one": (["--tenant", TENANT, "--from-tenant", TENANT], "--from-tenant goes with"),
    "no moment": (["--tenant", TENANT, "--since", "yesterday"], "no moment"),
    "no type": (["--tenant", TENANT, "--type", "a b"], "visible ASCII"),
    "no tenant's id": (["--tenant", "ten_x"], "ten_x"),
    "another kind of id": (["--tenant", TENANT, "--after", TENANT], TENANT),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_a_line(what: str) -> None:
    arguments, words = WRONG[what]
    done = subprocess.run(
        [sys.executable, "-m", "crossdock.cli.app", "events", "republish", *arguments],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), "it was called wrongly"
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
