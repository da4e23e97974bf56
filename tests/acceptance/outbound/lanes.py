"""A source, and a destination of its events alone with whatever options a test asks for."""

from typing import Any

from crossdock.samples.sender import new_serial
from tests.acceptance.house import House
from tests.acceptance.inbound.feed import Feed, Sent
from tests.faults.waiting import until


async def lane(house: House, **options: Any) -> Feed:
    """Make a source and a destination at a path of the receiver, for its events alone."""
    door = await house.door("stripe")
    path = f"/{new_serial()}"
    destination = await house.destination(path, source_ids=[door.source["id"]], **options)
    return Feed(house, door, path, destination)


async def beside(feed: Feed, **options: Any) -> Feed:
    """Make another destination of the same source."""
    path = f"/{new_serial()}"
    destination = await feed.house.destination(path, source_ids=[feed.id], **options)
    return Feed(feed.house, feed.door, path, destination)


async def other_kind(house: House, **wish: Any) -> Feed:
    """Make a source and a destination that is no HTTP endpoint of ours."""
    door = await house.door("stripe")
    wish = {"name": new_serial(), "source_ids": [door.source["id"]]} | wish
    return Feed(house, door, "", await house.rest.post("/v1/destinations", wish))


async def refused(house: House, pointer: str, **wish: Any) -> Any:
    """Try to make a destination that must not be; return the problem, which points there."""
    body = {"name": new_serial(), "url": f"{house.receiver.url}/nowhere"} | wish
    reply = await house.rest.call("POST", "/v1/destinations", body)
    assert reply.status == 422, reply
    problem = reply.json()
    pointers = [error["pointer"] for error in problem["errors"]]
    assert any(one.startswith(pointer) for one in pointers), problem
    return problem


async def delivered(feed: Feed, sent: Sent, *, within: float = 20.0) -> Any:
    """Return a lane's delivery of an event once it is delivered."""
    return await state_of(feed, sent.id, "delivered", within=within)


async def state_of(feed: Feed, event_id: str, *states: str, within: float = 20.0) -> Any:
    """Return a lane's delivery of an event once it is in one of these states."""
    seen: list[Any] = []

    async def found() -> Any:
        reply = await feed.house.rest.call("GET", f"/v1/deliveries?event_id={event_id}")
        if reply.status != 200:
            return None
        seen[:] = [
            one for one in reply.json()["items"] if one["destination_id"] == feed.destination["id"]
        ]
        return next((one for one in seen if one["state"] in states), None)

    found_one = await until(found, lambda: f"a delivery that is {states}: {seen}", within=within)
    return await feed.house.rest.get(f"/v1/deliveries/{found_one['id']}")


async def shown(feed: Feed) -> Any:
    """Return the lane's destination as it is shown."""
    return await feed.house.rest.get(f"/v1/destinations/{feed.destination['id']}")


async def patch(feed: Feed, **fields: Any) -> Any:
    """Change the lane's destination."""
    path = f"/v1/destinations/{feed.destination['id']}"
    return (await feed.house.rest.call("PATCH", path, fields)).ok()
