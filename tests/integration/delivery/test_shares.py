"""Nobody takes more than a share of the slots: counted, not timed."""

from aiohttp import web

from crossdock.delivery.dispatch.lines import Caps
from tests.beds.delivery import DeliveryBed, Receiver, event_ids, hanging, until

CAPS = Caps(total=16, tenant=8, destination=4, waiting=32)


async def test_beside_a_hundred_times_the_load_an_event_waits_for_few_others(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    noisy, quiet = await bed.tenant(), await bed.tenant()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=204)

    for number in range(4):
        await bed.destination(noisy, receiver.url(f"/noisy{number}", answer))
    await bed.destination(quiet, receiver.url("/quiet"))
    await bed.make_due(await bed.persist(*(bed.arrival(noisy) for _ in range(500))))
    between = []
    async with bed.dispatching(caps=CAPS) as dispatcher:
        for _ in range(10):
            await until(lambda: dispatcher.flying)
            jobs = await bed.persist(bed.arrival(quiet))
            before = len(receiver.calls)
            await dispatcher.offer(jobs)
            (event_id,) = event_ids(jobs)
            await until(lambda one=event_id: receiver.by_id[one])  # type: ignore[misc]
            place = next(
                index
                for index, call in enumerate(receiver.calls)
                if call.headers["webhook-id"] == event_id
            )
            between.append(place - before)
        assert len(receiver.calls) < 2000, "the noise went on all the while"
    # Those in flight when it came, and a turn each for the slots that came free before its own.
    assert sorted(between)[-2] <= 2 * CAPS.tenant, between


async def test_a_claim_is_shared_whatever_the_backlogs(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    noisy, quiet = await bed.tenant(), await bed.tenant()
    for number in range(8):
        await bed.destination(noisy, receiver.url(f"/hang{number}", hanging))
    await bed.destination(quiet, receiver.url("/quiet"))
    await bed.make_due(await bed.persist(*(bed.arrival(noisy) for _ in range(100))))
    jobs = await bed.persist(*(bed.arrival(quiet) for _ in range(60)))
    await bed.make_due(jobs)
    async with bed.dispatching(caps=CAPS, timeout_s=20) as dispatcher:
        await until(lambda: len(receiver.seen("/quiet")) == 60)
        await until(lambda: len(receiver.calls) == 60 + CAPS.tenant)
        held = dispatcher.flying + dispatcher.waiting
        assert held <= 2 * CAPS.tenant, "of one tenant, in flight and in memory"


async def test_a_full_recorder_holds_no_tenant_back_longer_than_another(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    """Results of all are written in batches: a tenant with many takes no place from one's few."""
    noisy, quiet = await bed.tenant(), await bed.tenant()
    await bed.destination(noisy, receiver.url("/noisy"))
    await bed.destination(quiet, receiver.url("/ok"))
    await bed.make_due(await bed.persist(*(bed.arrival(noisy) for _ in range(800))))
    async with bed.dispatching(caps=CAPS) as dispatcher:
        await until(lambda: receiver.seen("/noisy"))
        await dispatcher.offer(await bed.persist(bed.arrival(quiet)))

        async def recorded() -> bool:
            return await bed.states(quiet) == ["delivered"]

        await until(recorded)
        assert dispatcher.recorder.written < 800, "before the noise was over"
