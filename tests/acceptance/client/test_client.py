"""Both clients against a real stack."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from crossdock import ids
from crossdock.client import errors
from crossdock.client.models import Recipe, RecipePatch
from tests.acceptance.house import House
from tests.beds.asking import Asking
from tests.beds.faulty import Cut, Faulty, Pass, Reply
from tests.faults.waiting import until

SECRET = "whsec_a_secret_for_tests"


def fresh() -> str:
    """Return a name that nobody has."""
    return f"name-{ids.new().hex}"


def listing(name: str) -> Callable[[Any], Any]:
    """Return what lists one kind of thing."""
    return lambda client: getattr(client, name).list(limit=50)


async def source(client: Asking, **more: Any) -> Any:
    wish = {"name": fresh(), "scheme": "stripe", "secrets": [SECRET]} | more
    return await client.ask(lambda found: found.sources.create(**wish))


async def test_a_source_lives_from_its_making_to_its_end(client: Asking) -> None:
    made = await source(client, recipe=Recipe(dedupe=["/id"], tolerance=60.0))
    assert made.etag is not None
    assert made.created_at.tzinfo is not None
    assert abs((datetime.now(UTC) - made.created_at).total_seconds()) < 600
    read = await client.ask(lambda found: found.sources.get(made.id))
    assert (read.etag, read.recipe.dedupe) == (made.etag, ["/id"])
    wish = RecipePatch(tolerance=None)
    changed = await client.ask(
        lambda found: found.sources.patch(made.id, recipe=wish, if_match=read.etag)
    )
    assert changed.recipe.tolerance is None
    assert changed.recipe.dedupe == ["/id"]
    with pytest.raises(errors.PreconditionFailed):
        await client.ask(
            lambda found: found.sources.patch(made.id, name=fresh(), if_match=read.etag)
        )
    paused = await client.ask(lambda found: found.sources.pause(made.id))
    assert paused.state == "paused"
    rotated = await client.ask(lambda found: found.sources.rotate_secret(made.id, overlap_s=60))
    assert rotated.secret is not None
    assert len(rotated.secrets) == 2
    assert await client.ask(lambda found: found.sources.delete(made.id)) is None
    with pytest.raises(errors.NotFound):
        await client.ask(lambda found: found.sources.get(made.id))


async def test_a_lost_answer_is_asked_for_again_and_the_effect_comes_once(
    client: Asking, line: Faulty
) -> None:
    name = fresh()
    line.deal(Cut(reaches_server=True))
    made = await source(client, name=name)
    keys = {one.headers["idempotency-key"] for one in line.seen}
    assert (len(line.seen), len(keys)) == (2, 1)
    line.deal()
    found = await client.all(lambda found: found.sources.list(limit=200))
    assert [one.id for one in found if one.name == name] == [made.id]


async def test_a_request_that_never_came_comes_later(client: Asking, line: Faulty) -> None:
    line.deal(Cut(), Reply(503, b"", {"retry-after": "0"}), Reply(429), Pass())
    made = await source(client)
    assert made.id.startswith("src_")
    assert len(line.seen) == 4


async def test_a_key_of_ones_own_gives_the_same_answer(client: Asking) -> None:
    name, key = fresh(), fresh()
    first = await source(client, name=name, idempotency_key=key)
    again = await source(client, name=name, idempotency_key=key)
    assert again.id == first.id
    with pytest.raises(errors.IdempotencyKeyReused):
        await source(client, idempotency_key=key)


async def test_a_list_is_read_to_its_end(client: Asking) -> None:
    made = [(await source(client)).id for _ in range(5)]
    found = await client.all(lambda found: found.sources.list(limit=2))
    assert [one.id for one in found if one.id in made] == made[::-1]


async def test_what_is_refused_is_told_by_its_kind(client: Asking, house: House) -> None:
    with pytest.raises(errors.Invalid) as caught:
        await source(client, name="")
    assert [one.pointer for one in caught.value.errors] == ["/name"]
    name = (await source(client)).name
    with pytest.raises(errors.Conflict):
        await source(client, name=name)
    with pytest.raises(errors.Unauthenticated):
        await client.ask(lambda found: found.sources.get("src_1"), house.key + "x")
    reader = await client.ask(
        lambda found: found.api_keys.create(name=fresh(), permissions=["events:read"])
    )
    with pytest.raises(errors.Forbidden):
        await client.ask(lambda found: found.sources.get("src_1"), reader.key)


async def test_events_and_what_became_of_them_are_read(client: Asking, house: House) -> None:
    door = await house.door("stripe")
    path = f"/{fresh()}"
    await house.destination(path, source_ids=[door.source["id"]])
    webhook = door.webhook()
    event_id = await door.accepted(webhook)
    await house.settled(event_id, "delivered")
    event = await client.ask(lambda found: found.events.get(event_id))
    assert event.source_id == door.source["id"]
    assert await client.ask(lambda found: found.events.get_payload(event_id)) == webhook.body
    (delivery,) = await client.all(lambda found: found.events.list_deliveries(event_id))
    whole = await client.ask(lambda found: found.deliveries.get(delivery.id))
    assert [one.status for one in whole.attempts][-1] in range(200, 300)
    again = await client.ask(lambda found: found.deliveries.replay(delivery.id))
    assert again.event_id == event_id
    job = await client.ask(
        lambda found: found.replays.create(state="delivered", source_id=event.source_id)
    )

    async def is_done() -> bool:
        found = await client.ask(lambda found: found.replays.get(job.id))
        return bool(found.state == "done")

    await until(is_done, "a replay that is done")


async def test_every_list_of_a_tenant_is_understood(client: Asking) -> None:
    await source(client)
    lists = {
        *("alerts", "api_keys", "audit", "dead_letters", "deliveries", "destinations", "events"),
        *("invitations", "replays", "roles", "sources", "support_accesses", "users"),
    }
    for name in sorted(lists):
        assert isinstance(await client.all(listing(name)), list)
    assert (await client.ask(lambda found: found.tenant.get())).plan == "business"
    assert (await client.ask(lambda found: found.tenant.get_usage())).usage["sources"].used >= 1
    assert (await client.ask(lambda found: found.health.get_readiness())).status == "ready"
    assert (await client.ask(lambda found: found.auth.get_jwks())).keys
