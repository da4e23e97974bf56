"""A source that takes any JSON of any type, signed as Stripe signs, and its own endpoint."""

from typing import Any, Final, NamedTuple

import msgspec

from crossdock.samples.sender import new_serial
from tests.acceptance.house import Door, House
from tests.faults.receiver import Arrival
from tests.faults.rest import Reply
from tests.faults.waiting import until

JSON: Final = {"content-type": "application/json"}


class Sent(NamedTuple):
    """What was sent, and what came back."""

    serial: str
    body: bytes
    reply: Reply

    @property
    def id(self) -> str:
        """The event's id; fails where it was not taken."""
        assert self.reply.status == 202, self.reply
        event_id: str = self.reply.json()["id"]
        return event_id


class Feed:
    """A source, and a path of the receiver where nothing but its events arrives."""

    def __init__(self, house: House, door: Door, path: str, destination: Any) -> None:
        self.house = house
        self.door = door
        self.path = path
        self.destination = destination

    @property
    def id(self) -> str:
        """The source's id."""
        source_id: str = self.door.source["id"]
        return source_id

    @property
    def at(self) -> str:
        """The source's path in the REST API."""
        return f"/v1/sources/{self.id}"

    async def send(self, event_type: str, *, serial: str | None = None, **data: Any) -> Sent:
        """Send an event of a type with these members of `data`."""
        serial = serial or new_serial()
        content = {"id": f"evt_{serial}", "type": event_type, "serial": serial, "data": data}
        return await self.send_raw(msgspec.json.encode(content), serial=serial)

    async def send_raw(
        self, body: bytes, *, serial: str | None = None, content_type: str = "application/json"
    ) -> Sent:
        """Send these bytes, rightly signed."""
        serial = serial or new_serial()
        headers = {"content-type": content_type}
        reply = await self.door.post(self.door.webhook(serial, body=body, headers=headers))
        return Sent(serial, body, reply)

    def came(self) -> list[Arrival]:
        """Return what was delivered of this source."""
        return self.house.receiver.at(self.path)

    async def arrived(self, sent: Sent) -> Arrival:
        """Return its delivery, waiting for it."""
        return await self.house.receiver.first(sent.serial, path=self.path)

    async def passed(self) -> None:
        """Wait until an event that came after all others is delivered.

        What came before, and is not there by then, is not on its way.
        """
        await self.arrived(await self.send("the.marker"))

    async def event(self, event_id: str, status: str) -> Any:
        """Return an event once it has that status."""
        seen: list[Any] = [None]

        async def found() -> Any:
            seen[0] = await self.house.event(event_id)
            return seen[0] if seen[0]["status"] == status else None

        return await until(found, lambda: f"an event that is {status}: {seen[0]}")

    async def judged(self, event_type: str, status: str, **data: Any) -> str:
        """Return a new event of that status, waiting until the gateways know of a type's mode."""

        async def sent() -> str | None:
            one = await self.send(event_type, **data)
            if one.reply.status != 202:
                return None
            event = await self.house.event(one.id)
            return one.id if event["status"] == status else None

        found = await until(sent, f"an event of {event_type} that is {status}", within=10)
        assert found is not None
        return found

    async def rejected(self, event_type: str, **data: Any) -> Reply:
        """Return a refusal for a broken schema, waiting until the gateways know of the mode."""

        async def sent() -> Reply | None:
            reply = (await self.send(event_type, **data)).reply
            return reply if reply.status == 422 else None

        found = await until(sent, f"a refusal of {event_type}", within=10)
        assert found is not None
        return found


async def open_feed(house: House, **fields: Any) -> Feed:
    """Make a source and a destination for it alone."""
    door = await house.door("stripe", **fields)
    path = f"/{new_serial()}"
    destination = await house.destination(path, source_ids=[door.source["id"]])
    return Feed(house, door, path, destination)
