"""Destinations and deliveries as their owner handles them."""

from datetime import timedelta
from uuid import UUID

import pytest

from crossdock import ids
from crossdock.delivery.destinations.model import DestinationEdit, RetryPolicy
from crossdock.delivery.destinations.sealing import secret_context
from crossdock.delivery.destinations.service import Destinations
from crossdock.delivery.guard import Guard
from crossdock.delivery.model import DeliveryFilter
from crossdock.errors import Conflict, Invalid, NotFound, PreconditionFailed
from crossdock.paging import Window
from crossdock.secrets.seal import SealBroken
from tests.beds.delivery import DeliveryBed, Receiver

URL = "https://example.com/hook"


async def test_a_destination_is_made_read_and_listed(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    policy = RetryPolicy(delays_s=(1.0, 60.0), final_statuses=(422,))
    made = await bed.destination(tenant, URL, event_types=("order.*",), retry=policy, timeout_s=5.0)
    assert made.new_secret is not None
    assert made.new_secret.startswith("whsec_")
    found = await bed.destinations.get(tenant, made.destination.id)
    assert found == made.destination
    assert (found.event_types, found.retry, found.timeout_s) == (("order.*",), policy, 5.0)
    assert (found.state, found.version, found.source_ids) == ("enabled", 1, ())
    others = [await bed.destination(tenant, URL) for _ in range(3)]
    first = await bed.destinations.page(tenant, Window(limit=3))
    assert [one.id for one in first.items] == [one.destination.id for one in others[::-1]]
    assert first.more
    rest = await bed.destinations.page(tenant, Window(first.items[-1].id, 3))
    assert [one.id for one in rest.items] == [made.destination.id]
    assert not rest.more


async def test_a_secret_is_sealed_to_its_row_and_never_shown(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, URL)
    (secret,) = made.destination.secrets
    assert made.new_secret is not None
    context = secret_context(tenant, made.destination.id)
    assert bed.sealer.open(secret.sealed, context=context).decode() == made.new_secret
    with pytest.raises(SealBroken):
        bed.sealer.open(secret.sealed, context=secret_context(tenant, ids.new()))
    for text in (repr(made), repr(made.destination)):
        assert made.new_secret not in text
        assert secret.sealed.hex() not in text


async def test_edits_are_merged_checked_and_versioned(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    made = (await bed.destination(tenant, URL, event_types=("a",))).destination
    after = await bed.destinations.patch(
        tenant, made.id, {"url": f"{URL}/2", "retry": {"count": 2}}, frozenset({1})
    )
    assert (after.url, after.retry, after.version) == (f"{URL}/2", RetryPolicy(count=2), 2)
    assert after.event_types == ("a",)
    same = await bed.destinations.patch(tenant, made.id, {"url": f"{URL}/2"}, None)
    assert same.version == 2, "what changes nothing is no new version"
    cleared = await bed.destinations.patch(tenant, made.id, {"retry": None}, None)
    assert cleared.retry is None
    with pytest.raises(PreconditionFailed):
        await bed.destinations.patch(tenant, made.id, {"name": "x"}, frozenset({1, 2}))
    for changes, pointer in (
        ({"url": "http://10.0.0.1/"}, "/url"),
        ({"url": 7}, "/url"),
        ({"name": ""}, "/name"),
        ({"name": None}, "/name"),
        ({"state": "disabled"}, "/state"),
        ({"event_types": ["with space"]}, "/event_types/0"),
        ({"retry": {"count": 1000}}, "/retry/count"),
        ({"timeout_s": 20}, "/timeout_s"),
        ({"timeout_s": 0}, "/timeout_s"),
        ({"source_ids": [str(ids.new())]}, "/source_ids/0"),
    ):
        with pytest.raises(Invalid) as caught:
            await bed.destinations.patch(tenant, made.id, changes, None)
        assert pointer in {violation.pointer for violation in caught.value.violations}, changes


async def test_production_takes_no_address_of_this_machine(bed: DeliveryBed) -> None:
    strict = Destinations(bed.databases, bed.sealer, Guard(), timeout_s=15)
    tenant = await bed.tenant()
    for url in ("http://127.0.0.1/", "http://localhost/", "https://example.com:8443/"):
        with pytest.raises(Invalid):
            await strict.create(tenant, DestinationEdit(name="x", url=url))


async def test_names_are_unique_within_a_tenant_only(bed: DeliveryBed) -> None:
    tenant, other = await bed.tenant(), await bed.tenant()
    edit = DestinationEdit(name="the one", url=URL)
    await bed.destinations.create(tenant, edit)
    await bed.destinations.create(other, edit)
    with pytest.raises(Conflict):
        await bed.destinations.create(tenant, edit)
    second = await bed.destination(tenant, URL)
    with pytest.raises(Conflict):
        await bed.destinations.patch(tenant, second.destination.id, {"name": "the one"}, None)


async def test_what_belongs_to_another_tenant_does_not_exist(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant, stranger = await bed.tenant(), await bed.tenant()
    made = (await bed.destination(tenant, receiver.url("/ok"))).destination
    (job,) = await bed.persist(bed.arrival(tenant))
    services = bed.destinations
    for attempt in (
        services.get(stranger, made.id),
        services.patch(stranger, made.id, {"name": "x"}, None),
        services.delete(stranger, made.id, None),
        services.switch(stranger, made.id, "disabled"),
        services.rotate_secret(stranger, made.id, timedelta(hours=1)),
        bed.deliveries.get(stranger, job.leased.id),
        bed.deliveries.replay(stranger, job.leased.id),
        bed.deliveries.replay_event(stranger, job.leased.event_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await bed.destinations.get(tenant, made.id) == made
    assert not (await bed.destinations.page(stranger, Window())).items
    assert not (await bed.deliveries.page(stranger, Window(), DeliveryFilter())).items


async def test_deleting_asks_for_the_version_and_is_final(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    made = (await bed.destination(tenant, URL)).destination
    with pytest.raises(PreconditionFailed):
        await bed.destinations.delete(tenant, made.id, frozenset({9}))
    await bed.destinations.delete(tenant, made.id, frozenset({1}))
    with pytest.raises(NotFound):
        await bed.destinations.get(tenant, made.id)
    with pytest.raises(NotFound):
        await bed.destinations.delete(tenant, made.id, None)


async def test_switching_is_idempotent(bed: DeliveryBed) -> None:
    tenant = await bed.tenant()
    made = (await bed.destination(tenant, URL)).destination
    off = await bed.destinations.switch(tenant, made.id, "disabled")
    assert (off.state, off.disabled_reason, off.version) == ("disabled", "by_owner", 2)
    assert (await bed.destinations.switch(tenant, made.id, "disabled")).version == 2
    on = await bed.destinations.switch(tenant, made.id, "enabled")
    assert (on.state, on.disabled_reason, on.version) == ("enabled", None, 3)


async def test_deliveries_are_listed_by_what_is_asked_for(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    one = (await bed.destination(tenant, receiver.url("/1"))).destination
    two = (await bed.destination(tenant, receiver.url("/2"))).destination
    jobs = await bed.persist(*(bed.arrival(tenant) for _ in range(3)))

    async def found(**wanted: object) -> set[UUID]:
        page = await bed.deliveries.page(tenant, Window(), DeliveryFilter(**wanted))  # type: ignore[arg-type]
        assert [row.id for row in page.items] == sorted(row.id for row in page.items)[::-1]
        return {row.id for row in page.items}

    everything = {job.leased.id for job in jobs}
    assert len(everything) == 6
    assert await found() == everything
    for destination in (one, two):
        expected = {j.leased.id for j in jobs if j.leased.destination_id == destination.id}
        assert await found(destination_id=destination.id) == expected
    event = jobs[0].leased.event_id
    assert await found(event_id=event) == {j.leased.id for j in jobs if j.leased.event_id == event}
    assert await found(state="pending") == everything
    assert await found(state="dead") == set()
    with pytest.raises(NotFound):
        await found(event_id=ids.new())
