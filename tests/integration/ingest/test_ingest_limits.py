"""What webhooks are charged to, and what is charged to whoever sends junk."""

import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from crossdock.bus import Bus
from crossdock.bus.publisher import Publisher
from crossdock.config import LimitSettings
from crossdock.errors import Unavailable
from crossdock.inbound.sources.prepared import PreparedSource
from crossdock.limits.service import Limits
from gateway.edge.addresses import Proxies
from gateway.ingest import Ingest
from gateway.limits import Meter
from tests.beds.limits import check_refusal, left, policies
from tests.integration.ingest.conftest import SETTINGS, Source, Sources, events

SECRET = "whsec_" + "5ba1e0f2" * 8
BODY = b'{"id":"evt_1","type":"charge.succeeded"}'
BURST = 5
LIMITS = LimitSettings(address_per_minute=1, address_burst=BURST)

Connect = Callable[[str], httpx.AsyncClient]


class Asked(Sources):
    """Sources that count how often they were looked for elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups = 0
        self.hidden = False

    def get(self, token: str) -> PreparedSource | None:
        return None if self.hidden else super().get(token)

    async def lookup(self, token: str) -> PreparedSource | None:
        self.lookups += 1
        return await super().lookup(token)


@pytest.fixture
def sources() -> Asked:
    """An empty house."""
    return Asked()


@pytest.fixture
def limits() -> Limits:
    """A table of this test's own."""
    return Limits(LIMITS)


@pytest.fixture
async def ingest(sources: Asked, bus: Bus, limits: Limits) -> AsyncIterator[Ingest]:
    """The application below `/in/`."""
    publisher = Publisher(bus.settings, timeout_s=SETTINGS.publish_timeout_s)
    await publisher.wait_connected()
    yield Ingest(sources, publisher, SETTINGS, Meter(limits, Proxies(())))
    await publisher.close()


@pytest.fixture
async def connect(ingest: Ingest) -> AsyncIterator[Connect]:
    """Makes clients, each at an address."""
    clients = []

    def make(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(ingest, client=(address, 1))
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://inside"))
        return clients[-1]

    yield make
    for client in clients:
        await client.aclose()


async def send(http: httpx.AsyncClient, source: Source) -> httpx.Response:
    headers = source.signed(BODY, time.time()) | {"content-type": "application/json"}
    return await http.post(f"/in/{source.token}", content=BODY, headers=headers)


async def junk(http: httpx.AsyncClient, source: Source) -> httpx.Response:
    return await http.post(f"/in/{source.token}", content=BODY)


async def test_a_webhook_is_charged_to_its_source_and_its_tenant(
    connect: Connect, sources: Asked, bus: Bus
) -> None:
    source = sources.add("stripe", SECRET, webhooks_per_minute=2, tenant_webhooks_per_minute=1_000)
    http = connect("192.0.2.1")

    answers = [await send(http, source) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert policies(answers[0]) == {"source": (2, 60), "webhooks": (1_000, 60)}
    assert [left(answer).remaining for answer in answers] == [1, 0, 0]
    check_refusal(answers[-1], "source")
    assert len(await events(bus)) == 2


async def test_what_one_source_may_not_take_is_not_charged_to_its_tenant(
    connect: Connect, sources: Asked, limits: Limits
) -> None:
    source = sources.add("stripe", SECRET, webhooks_per_minute=1, tenant_webhooks_per_minute=3)
    http = connect("192.0.2.1")

    for _ in range(10):
        await send(http, source)

    own, tenants = sources.found[source.token].limits
    assert limits.peek((own,)).remaining == 0
    assert limits.peek((tenants,)).remaining == 2


async def test_a_source_without_limits_has_nothing_to_tell(
    connect: Connect, sources: Asked
) -> None:
    source = sources.add("stripe", SECRET)

    answer = await send(connect("192.0.2.1"), source)

    assert answer.status_code == 202
    assert "ratelimit" not in answer.headers


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"source_state": "paused"},
        {"tenant_state": "suspended"},
        {"max_body_bytes": 3},
    ],
)
async def test_refusals_are_charged_to_the_address_until_it_had_too_many(
    connect: Connect, sources: Asked, state: dict[str, str | int]
) -> None:
    source = sources.add("stripe", SECRET, tenant_webhooks_per_minute=1, **state)
    http = connect("192.0.2.2")

    answers = [await junk(http, source) for _ in range(BURST + 2)]

    assert all(answer.status_code not in {202, 429} for answer in answers[:BURST])
    for answer in answers[BURST:]:
        check_refusal(answer, "address")
    assert policies(answers[0]) == {"address": (BURST, 300)}
    other = await junk(connect("192.0.2.3"), source)
    assert other.status_code == answers[0].status_code


async def test_a_genuine_webhook_is_never_refused_for_its_address(
    connect: Connect, sources: Asked
) -> None:
    source = sources.add("stripe", SECRET, tenant_webhooks_per_minute=10)
    http = connect("192.0.2.4")
    for _ in range(BURST * 2):
        await junk(http, source)

    answer = await send(http, source)

    assert answer.status_code == 202
    assert left(answer).remaining == 9


async def test_an_address_with_too_many_refusals_is_not_worth_a_lookup(
    connect: Connect, sources: Asked
) -> None:
    http = connect("192.0.2.5")

    answers = [await http.post(f"/in/none{number}") for number in range(BURST * 3)]

    assert [answer.status_code for answer in answers[:BURST]] == [404] * BURST
    for answer in answers[BURST:]:
        check_refusal(answer, "address")
    assert sources.lookups == BURST
    assert (await connect("192.0.2.6").post("/in/none")).status_code == 404


async def test_a_daily_quota_that_is_used_up_says_when_the_day_ends(
    connect: Connect, sources: Asked
) -> None:
    source = sources.add(
        "stripe", SECRET, tenant_webhooks_per_minute=5, blocked_until=time.time() + 5_000
    )

    answers = [await send(connect("192.0.2.7"), source) for _ in range(BURST + 2)]

    assert {answer.status_code for answer in answers} == {429}
    for answer in answers:
        assert answer.headers.get_list("retry-after") == [answer.headers["retry-after"]]
        assert int(answer.headers["retry-after"]) > 4_000
        assert "violated-policies" not in answer.json()
        assert left(answer) == ("address", BURST, 0), "nobody is charged"


async def test_what_we_could_not_take_is_nobodys_fault(
    connect: Connect, sources: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lookup(_token: str) -> None:
        raise Unavailable

    monkeypatch.setattr(sources, "lookup", lookup)

    answers = [await connect("192.0.2.8").post("/in/none") for _ in range(BURST + 2)]

    assert {answer.status_code for answer in answers} == {503}
    assert {left(answer).remaining for answer in answers} == {BURST}
