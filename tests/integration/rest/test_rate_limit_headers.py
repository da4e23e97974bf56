"""Every answer of every route says what is left, and nothing is charged twice."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx
import pytest
from litestar import Litestar, get

from crossdock.access.authentication import Authenticator
from crossdock.config import LimitSettings, Settings
from crossdock.errors import TooManyRequests, Unauthenticated
from crossdock.limits.service import Asked, Limits
from gateway.edge.addresses import Proxies
from gateway.edge.layer import edged
from gateway.limits import Meter, Metered
from gateway.rest import create_rest
from tests.beds.limits import check_refusal, left, policies
from tests.beds.open_runtime import OpenRuntime
from tests.beds.routes import ENDLESS
from tests.faults.waiting import until

KEY_LIMIT = 100_000
ADDRESS_LIMIT = 50_000
WAIT_S = 1_000
BROKEN = "/v1/broken"


@pytest.fixture
def meter() -> Meter:
    """A meter with a table of its own: nothing was charged yet."""
    # One a minute comes back to an address: no test takes so long.
    settings = LimitSettings(
        address_per_minute=1, address_burst=ADDRESS_LIMIT, key_per_minute=KEY_LIMIT
    )
    return Meter(Limits(settings), Proxies(()))


@pytest.fixture
def rest(settings: Settings, database: Any, identity: Any, meter: Meter) -> Litestar:
    """The REST API, with a route that breaks and one that counts tries."""
    made = create_rest(settings, OpenRuntime(database, identity), meter)

    @get(BROKEN, public=True, include_in_schema=False)
    async def break_down() -> None:
        """Fail as only a fault of ours does."""
        raise RuntimeError("broken")

    @get("/v1/tried", public=True, include_in_schema=False)
    async def try_often() -> None:
        """Refuse for a number of tries, which no policy is about."""
        raise TooManyRequests(retry_after_s=WAIT_S)

    @get("/v1/tried-lately", public=True, include_in_schema=False)
    async def try_lately() -> None:
        """Refuse for a moment."""
        raise TooManyRequests(retry_after_s=1)

    for route in (break_down, try_often, try_lately):
        made.register(route)
    return made


@pytest.fixture
async def connect_to(
    rest: Litestar, meter: Meter, settings: Settings
) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes clients of the whole, as the gateway serves it."""
    whole = Metered(edged(cast("Any", rest), settings.gateway), meter)
    clients = []

    def make(key: str | None = None) -> httpx.AsyncClient:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(cast("Any", whole))
        client = httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def stranger(connect_to: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """Nobody in particular."""
    return connect_to()


async def test_every_answer_of_every_route_says_what_is_left(
    rest: Litestar,
    stranger: httpx.AsyncClient,
    connect_to: Callable[..., httpx.AsyncClient],
    new_tenant: Any,
) -> None:
    tenant = await new_tenant()
    known, walked = connect_to(tenant.key), 0
    for route in rest.routes:
        if route.path == BROKEN:  # its every answer is logged at length; it has a test of its own
            continue
        path = re.sub(r"{[^}]*}", "x", route.path)
        for method in (*sorted(getattr(route, "methods", ())), "PUT", "HEAD"):
            waits = method != "GET" or path in ENDLESS  # the latter only for who may
            for client in (stranger,) if waits else (stranger, known):
                answer = await client.request(method, path)
                assert answer.status_code < 500, (method, path)
                told = policies(answer)
                assert set(told) in ({"key"}, {"address"}), (method, path)
                assert left(answer).policy in told
                walked += 1
    assert walked > 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/auth/login", 405),
        ("GET", "/v1/sources", 401),
        ("GET", BROKEN, 500),
        ("GET", "/v1/tried", 429),
        ("POST", "/v1/auth/login", 400),
        ("OPTIONS", "/v1/sources", 401),
    ],
)
async def test_a_stranger_is_charged_once_whatever_the_answer(
    stranger: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    for asked in range(1, 4):
        answer = await stranger.request(method, path)
        assert answer.status_code == status
        assert left(answer).remaining == ADDRESS_LIMIT - asked


async def test_a_caller_is_charged_once_and_its_address_is_not(
    stranger: httpx.AsyncClient, connect_to: Callable[..., httpx.AsyncClient], new_tenant: Any
) -> None:
    tenant = await new_tenant("sources:read")
    known = connect_to(tenant.key)

    requests = (
        ("GET", "/v1/sources", 200),
        ("GET", "/v1/sources/nothing", 404),
        ("POST", "/v1/sources", 403),
        ("GET", "/v1/sources?nothing=1", 422),
        ("OPTIONS", "/v1/sources", 204),
    )
    for asked, (method, path, status) in enumerate(requests, 1):
        answer = await known.request(method, path)
        assert answer.status_code == status, (method, path)
        assert policies(answer) == {"key": (KEY_LIMIT, 60)}
        assert left(answer).remaining >= KEY_LIMIT - asked

    seen = await stranger.get("/health/live")
    assert left(seen).remaining == ADDRESS_LIMIT


async def test_who_tried_too_often_is_asked_to_wait_for_both(stranger: httpx.AsyncClient) -> None:
    often, lately = await stranger.get("/v1/tried"), await stranger.get("/v1/tried-lately")

    assert often.headers.get_list("retry-after") == [str(WAIT_S)]
    assert "violated-policies" not in often.json()
    # Two are used: in two minutes the address has all of them again.
    assert lately.headers.get_list("retry-after") == [str(left(lately).reset_s)]
    assert left(lately).reset_s >= 1


def use_up(meter: Meter, asked: Asked) -> None:
    while meter.limits.take(asked).admitted:
        pass


async def test_where_too_many_credentials_were_refused_only_known_ones_count(
    meter: Meter, connect_to: Callable[..., httpx.AsyncClient], new_tenant: Any
) -> None:
    known, unknown = [connect_to((await new_tenant()).key) for _ in range(2)]
    assert (await known.get("/v1/sources")).status_code == 200
    use_up(meter, meter.limits.of_guesses("127.0.0.1"))

    check_refusal(await unknown.get("/v1/sources"), "address")
    check_refusal(await connect_to("nonsense").get("/v1/sources"), "address")
    assert (await known.get("/v1/sources")).status_code == 200
    assert (await unknown.get("/health/live")).status_code == 200


async def test_a_key_that_was_revoked_is_not_known_once_it_was_refused(
    settings: Settings, database: Any, new_tenant: Any
) -> None:
    tenant = await new_tenant()
    keys = Authenticator(database, environment=settings.environment)
    assert not keys.knows(tenant.key)
    await keys.verify(tenant.key)
    assert keys.knows(tenant.key)
    (key,) = (await tenant.http.get("/v1/api-keys")).json()["items"]
    assert (await tenant.http.delete(f"/v1/api-keys/{key['id']}")).status_code == 204

    async def is_refused() -> bool:
        try:
            await keys.verify(tenant.key)
        except Unauthenticated:
            return True
        return False  # it is believed for less than a second

    await until(is_refused, "a key that is refused", within=20)
    assert not keys.knows(tenant.key)


async def test_who_asks_for_what_is_not_there_locks_nobody_out(
    meter: Meter, connect_to: Callable[..., httpx.AsyncClient], new_tenant: Any
) -> None:
    use_up(meter, meter.limits.of_address("127.0.0.1"))

    check_refusal(await connect_to().get("/v1/nothing"), "address")
    check_refusal(await connect_to().get("/v1/sources"), "address")
    answer = await connect_to((await new_tenant()).key).get("/v1/sources")
    assert answer.status_code == 200
