"""The step `transform`: real scripts in their own process, and what is delivered after it."""

from collections.abc import AsyncIterator

import pytest

from crossdock.delivery.dispatch.transforming import Away, Sent
from crossdock.delivery.exchange import CallFailed
from crossdock.simulations import transforming
from crossdock.simulations.model import MOST_DESTINATIONS
from crossdock.transforms.service import Sandbox
from tests.beds.scripts import ROOMY, returning
from tests.unit.simulations.test_steps import destination, incoming

URL = "https://example.com/"
WHOLE = returning("{payload: {type: event.type, of: event.payload.type, headers: event.headers}}")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """What a gateway has."""
    found = Sandbox(ROOMY)
    yield found
    await found.close()


async def test_without_scripts_there_is_nothing_to_do(sandbox: Sandbox) -> None:
    plain = destination(URL)
    cargo = transforming.cargo(incoming(), "a.b")
    made = await transforming.loads(sandbox, [plain], cargo)
    assert made == {plain.id: Sent(cargo)}
    assert transforming.step([plain], made).outcome == "skipped"
    assert sandbox.pids == []


async def test_each_script_makes_its_own(sandbox: Sandbox) -> None:
    good = destination(URL, transform=WHOLE)
    away = destination(URL, transform=returning("null"))
    bad = destination(URL, transform=returning("event.no.such"))
    plain = destination(URL)
    cargo = transforming.cargo(incoming(), "invoice.paid")
    made = await transforming.loads(sandbox, [good, away, bad, plain], cargo)
    sent = made[good.id]
    assert isinstance(sent, Sent)
    assert sent.cargo.body == (b'{"type":"invoice.paid","of":"invoice.paid","headers":{}}')
    assert isinstance(made[away.id], Away)
    assert isinstance(made[bad.id], CallFailed)
    assert made[plain.id] == Sent(cargo)
    step = transforming.step([good, away, bad, plain], made)
    assert (step.outcome, step.detail) == ("failed", "Transformed: 2 of 3.")
    errors = {one.destination_id: one.error for one in step.destinations}
    assert errors[good.id] is None
    assert errors[away.id] == transforming.AWAY
    assert "TypeError" in (errors[bad.id] or "")


async def test_only_scripts_of_those_that_would_be_called_are_run(sandbox: Sandbox) -> None:
    all_of_them = [destination(URL, transform=WHOLE) for _ in range(MOST_DESTINATIONS + 2)]
    made = await transforming.loads(sandbox, all_of_them, transforming.cargo(incoming(), "a"))
    assert len(made) == MOST_DESTINATIONS
    step = transforming.step(all_of_them, made)
    assert step.outcome == "passed"
    assert step.detail.endswith("Not tried: 2.")
