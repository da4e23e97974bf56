"""`make demo ONCE=1`: its last line is one JSON object, counted from what really came."""

import tempfile
from pathlib import Path

import pytest

from tests.faults.stack import Stack

KEYS = {
    "sent",
    "accepted",
    "refused",
    "duplicates",
    "delivered",
    "retried",
    "dead_lettered",
    "replayed",
    "lost",
}


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_the_demo_loses_nothing() -> None:
    with tempfile.TemporaryDirectory(prefix="crossdock-demo-") as folder:
        # Nothing runs under this one: it only knows how a command is called.
        # It takes some twenty seconds; were a breaker or a long wait in its way, minutes.
        told = await Stack(Path(folder) / "unused").command("demo", "--once", within=110)

    assert told.code == 0, told
    figures = told.last_json()
    assert set(figures) == KEYS
    assert figures["lost"] == 0
    assert figures["sent"] >= 2000
    assert figures["accepted"] + sum(figures["refused"].values()) == figures["sent"]
    assert figures["duplicates"] > 0
    assert figures["delivered"] > 0
    assert figures["retried"] > 0
    assert figures["dead_lettered"] > 0
    assert figures["replayed"] > 0
    assert len(figures["refused"]) >= 5
    assert "quota-exceeded" not in figures["refused"]
    assert all(name.replace("-", "").isalpha() for name in figures["refused"])
    assert all(figures["refused"].values())
