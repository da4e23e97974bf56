"""One tenant of the stack under test, with what a test needs to send to it and to look at it."""

from time import time
from typing import Any, NamedTuple

from crossdock.samples.sender import new_serial
from tests.acceptance.providers import PROVIDERS, Provider, Request
from tests.faults.receiver import Receiver
from tests.faults.rest import Reply
from tests.faults.stack import Stack
from tests.faults.waiting import until


class Webhook(NamedTuple):
    """A request, signed."""

    url: str
    headers: dict[str, str]
    body: bytes
    serial: str


class Door:
    """A source, and the provider that sends to it."""

    def __init__(self, house: "House", provider: Provider, source: Any) -> None:
        self.house = house
        self.provider = provider
        self.source = source
        self.url: str = source["ingest_url"]

    def webhook(
        self,
        serial: str | None = None,
        *,
        age: float = 0.0,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Webhook:
        """Return a signed webhook, made so many seconds ago."""
        serial, now = serial or new_serial(), time() - age
        content, labels = self.provider.content(serial, now)
        if body is not None:
            content = body
        url = self.provider.target(self.url, content)
        signature = self.provider.sign(Request(url, content, now, serial))
        return Webhook(url, labels | signature | (headers or {}), content, serial)

    async def post(self, webhook: Webhook) -> Reply:
        """Send it as nobody in particular."""
        return await self.house.anyone.call(
            "POST", webhook.url, raw=webhook.body, headers=webhook.headers
        )

    async def accepted(self, webhook: Webhook | None = None) -> str:
        """Send it, be taken, and return the event's id."""
        reply = await self.post(webhook or self.webhook())
        assert reply.status == 202, reply
        event_id: str = reply.json()["id"]
        return event_id

    async def live(self) -> None:
        """Wait until the gateways know it, by sending what they won't take."""
        if self.provider.scheme == "none":
            await until(self._is_open, "a source that takes anything", within=5)
        else:
            await until(self._is_known, f"a gateway that knows {self.url}", within=5)

    async def _is_known(self) -> bool:
        headers = {"content-type": "application/json"}
        reply = await self.house.anyone.call("POST", self.url, raw=b"{}", headers=headers)
        assert reply.status in {404, 401}, reply
        return reply.status == 401

    async def _is_open(self) -> bool:
        reply = await self.post(self.webhook())
        assert reply.status in {404, 202}, reply
        return reply.status == 202


class House:
    """A tenant: its key, its callers, its endpoint."""

    def __init__(self, stack: Stack, receiver: Receiver, tenant_id: str, key: str) -> None:
        self.stack = stack
        self.receiver = receiver
        self.id = tenant_id
        self.key = key
        self.rest = stack.rest(key)
        self.anyone = stack.rest()

    async def close(self) -> None:
        """Hang up."""
        for caller in (self.rest, self.anyone):
            await caller.__aexit__()

    async def door(self, provider: str, *, name: str | None = None, **fields: Any) -> Door:
        """Make a source of which webhooks are taken from now on."""
        played = PROVIDERS[provider]
        wish = {
            "name": name or new_serial(),
            "scheme": played.scheme,
            "secrets": [played.secret] if played.secret else [],
            "recipe": dict(played.recipe),
            "unchecked": played.scheme == "hmac",
        }
        source = await self.rest.post("/v1/sources", wish | fields)
        door = Door(self, played, source)
        await door.live()
        return door

    async def destination(self, path: str, **fields: Any) -> Any:
        """Make a destination at a path of the receiver."""
        wish = {"name": new_serial(), "url": f"{self.receiver.url}{path}"}
        return await self.rest.post("/v1/destinations", wish | fields)

    async def replay(self, wish: dict[str, Any]) -> Any:
        """Start a replay."""
        key = {"Idempotency-Key": new_serial()}
        return (await self.rest.call("POST", "/v1/replays", wish, headers=key)).ok()

    async def event(self, event_id: str) -> Any:
        """Return an event, waiting until it is persisted."""

        async def found() -> Any:
            reply = await self.rest.call("GET", f"/v1/events/{event_id}")
            assert reply.status in {200, 404}, reply
            return reply.json() if reply.status == 200 else None

        return await until(found, f"event {event_id}")

    async def deliveries(self, event_id: str) -> list[Any]:
        """Return an event's deliveries."""
        return await self.rest.all(f"/v1/deliveries?event_id={event_id}")

    async def settled(self, event_id: str, state: str, *, within: float = 20.0) -> Any:
        """Return an event's first delivery in that state, waiting for it."""
        await self.event(event_id)
        seen: list[Any] = []

        async def found() -> Any:
            seen[:] = await self.deliveries(event_id)
            return next((item for item in seen if item["state"] == state), None)

        return await until(found, lambda: f"a delivery that is {state}: {seen}", within=within)


async def open_house(stack: Stack, receiver: Receiver, name: str) -> House:
    """Make a tenant."""
    tenant = await stack.tenant(name)
    return House(stack, receiver, tenant.id, tenant.key)
