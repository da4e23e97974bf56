"""Tokens by a client's credentials, from a real token server that behaves, or does not."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import pytest
from aiohttp import web

from crossdock.delivery.client import Client
from crossdock.delivery.destinations.credentials import ClientCredentials
from crossdock.delivery.dispatch.targets import HIDDEN
from crossdock.delivery.exchange import CallFailed
from crossdock.delivery.kinds.tokens import LONGEST_S, Tokens, is_token, life_s
from tests.beds.carrying import delivered
from tests.beds.delivery import GUARD, DeliveryBed, Receiver, until

SECRET = "s3cret & more"
KEY = (UUID(int=1), UUID(int=2))


class TokenServer:
    """Hands out tokens, one after another, or answers as it is told."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.given = 0
        self.answer: Any = None
        self.status = 200
        self.expires_in: Any = 3600
        self.hold: asyncio.Event | None = None
        self.url = receiver.url("/token", self._give)

    async def _give(self, _: web.Request) -> web.StreamResponse:
        self.given += 1
        number = self.given
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answer
        if answer is None:
            answer = {"access_token": f"token-{number}", "token_type": "Bearer"}
            if self.expires_in is not None:
                answer["expires_in"] = self.expires_in
        return web.json_response(answer, status=self.status)

    def auth(self, **fields: Any) -> ClientCredentials:
        return ClientCredentials(
            token_url=self.url, client_id="me:too", client_secret=SECRET, **fields
        )


@pytest.fixture
def server(receiver: Receiver) -> TokenServer:
    """A token server, beside the endpoint."""
    return TokenServer(receiver)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """The one that dispatchers use."""
    async with Client(GUARD, connections=64) as found:
        yield found


async def test_a_delivery_goes_with_a_token_and_the_next_with_the_same(
    bed: DeliveryBed, server: TokenServer
) -> None:
    tenant = await bed.tenant()
    auth = server.auth(scope="hooks:write", audience="them")
    await bed.destination(tenant, server.receiver.url("/hook"), auth=auth)
    async with bed.dispatching() as dispatcher:
        for number in range(2):
            await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
            await until(partial(has_come, server, number + 1))
        await until(lambda: bed_has(bed, tenant))
    sent = [call.headers["authorization"] for call in server.receiver.seen("/hook")]
    assert sent == ["Bearer token-1"] * 2
    (asked,) = server.receiver.seen("/token")
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["hooks:write"],
        "audience": ["them"],
    }
    pair = "me%3Atoo:s3cret+%26+more"
    assert asked.headers["authorization"] == f"Basic {b64encode(pair.encode()).decode()}"
    attempt = (await bed.all_of(tenant))[0].attempts[0]
    assert dict(attempt.request_headers)["authorization"] == HIDDEN
    assert "token-1" not in repr(attempt)


def has_come(server: TokenServer, times: int) -> bool:
    return len(server.receiver.seen("/hook")) == times


async def bed_has(bed: DeliveryBed, tenant: UUID) -> bool:
    return await bed.states(tenant) == ["delivered", "delivered"]


async def test_credentials_may_go_in_the_form(client: Client, server: TokenServer) -> None:
    assert await Tokens(client).get(KEY, 1, server.auth(style="body")) == "token-1"
    (asked,) = server.receiver.seen("/token")
    assert "authorization" not in asked.headers
    found = parse_qs(asked.body.decode())
    assert (found["client_id"], found["client_secret"]) == (["me:too"], [SECRET])


async def test_of_many_only_one_asks(client: Client, server: TokenServer) -> None:
    server.hold = asyncio.Event()
    tokens = Tokens(client)
    asking = [asyncio.create_task(tokens.get(KEY, 1, server.auth())) for _ in range(20)]
    await until(lambda: server.given)
    asking[0].cancel()  # who gives up does not take the others' answer along
    server.hold.set()
    assert await asyncio.gather(*asking[1:]) == ["token-1"] * 19
    assert server.given == 1


async def test_a_token_is_renewed_early_and_nobody_waits_for_it(
    client: Client, server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(client)
    server.expires_in = 100
    assert await tokens.get(KEY, 1, server.auth()) == "token-1"
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(tokens, "_now", lambda: now + 95)
    server.hold = asyncio.Event()
    assert await tokens.get(KEY, 1, server.auth()) == "token-1", "the old one is still good"
    server.hold.set()

    async def is_new() -> bool:
        return await tokens.get(KEY, 1, server.auth()) == "token-2"

    await until(is_new)
    assert server.given == 2


async def test_a_token_that_has_ended_is_not_used(
    client: Client, server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(client)
    server.expires_in = 100
    await tokens.get(KEY, 1, server.auth())
    now = asyncio.get_running_loop().time()
    monkeypatch.setattr(tokens, "_now", lambda: now + 101)
    assert await tokens.get(KEY, 1, server.auth()) == "token-2"


async def test_another_version_and_another_destination_have_their_own(
    client: Client, server: TokenServer
) -> None:
    tokens = Tokens(client, capacity=2)
    assert await tokens.get(KEY, 1, server.auth()) == "token-1"
    assert await tokens.get(KEY, 2, server.auth()) == "token-2"
    assert await tokens.get((KEY[0], UUID(int=3)), 2, server.auth()) == "token-3"
    assert await tokens.get((KEY[0], UUID(int=4)), 2, server.auth()) == "token-4"
    assert len(tokens) == 2, "what is kept is bounded"


async def test_a_token_that_is_not_taken_is_renewed_once(
    bed: DeliveryBed, server: TokenServer
) -> None:
    tenant = await bed.tenant()

    async def picky(request: web.Request) -> web.Response:
        is_good = request.headers["authorization"] == "Bearer token-2"
        return web.Response(status=204 if is_good else 401)

    url = server.receiver.url("/picky", picky)
    await bed.destination(tenant, url, auth=server.auth())
    attempt = await delivered(bed, tenant)
    assert (attempt.number, attempt.status) == (1, 204), "both calls are one attempt"
    assert [call.headers["authorization"] for call in server.receiver.seen("/picky")] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_an_endpoint_that_never_takes_one_costs_no_token_each(
    bed: DeliveryBed, server: TokenServer
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, server.receiver.url("/never", 401), auth=server.auth())
    attempt = await delivered(bed, tenant, state="dead")
    assert attempt.status == 401
    assert attempt.number == 4
    assert server.given == 2, "the first, and one because it was not taken"


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (400, {"error": "invalid_client"}, "answered 400"),
        (500, {}, "answered 500"),
        (302, {}, "answered 302"),
        (200, {"token": "x"}, "no token"),
        (200, [], "no token"),
        (200, {"access_token": 7}, "no token"),
        (200, {"access_token": ""}, "a header can carry"),
        (200, {"access_token": "a\r\nx-evil: 1"}, "a header can carry"),
        (200, {"access_token": "a b"}, "a header can carry"),
        (200, {"access_token": "ä"}, "a header can carry"),
        (200, {"access_token": "x" * 9000}, "a header can carry"),
        (200, {"access_token": "x", "token_type": "mac"}, "a header can carry"),
    ],
)
async def test_a_server_that_gives_none_is_a_failure_of_its_own_kind(
    client: Client, server: TokenServer, status: int, answer: Any, said: str
) -> None:
    server.status, server.answer = status, answer
    tokens = Tokens(client)
    for _ in range(3):
        with pytest.raises(CallFailed) as caught:
            await tokens.get(KEY, 1, server.auth())
        assert caught.value.kind == "credentials"
        assert said in str(caught.value)
        assert SECRET not in str(caught.value)
    assert server.given == 1, "it is left alone for a while"


async def test_a_token_server_that_is_away_or_inside_is_no_way_in(client: Client) -> None:
    for url, why in (
        ("http://127.0.0.1:1/token", "connect"),
        ("http://10.0.0.1/token", "refused"),  # the guard stands before tokens, too
        ("http://[::ffff:127.0.0.1]/token", "refused"),
    ):
        auth = ClientCredentials(token_url=url, client_id="me", client_secret=SECRET)
        with pytest.raises(CallFailed) as caught:
            await Tokens(client).get(KEY, 1, auth)
        assert caught.value.kind == "credentials"
        assert why in str(caught.value)


async def test_without_a_token_nothing_is_delivered_and_it_is_tried_again(
    bed: DeliveryBed, server: TokenServer
) -> None:
    tenant = await bed.tenant()
    server.status = 503
    await bed.destination(tenant, server.receiver.url("/hook"), auth=server.auth())
    attempt = await delivered(bed, tenant, state="dead")
    assert attempt.error is not None
    assert attempt.error.startswith("credentials: ")
    assert attempt.status is None
    assert not server.receiver.seen("/hook")


async def test_a_token_server_that_hangs_costs_the_attempts_time_and_no_more(
    bed: DeliveryBed, server: TokenServer
) -> None:
    tenant = await bed.tenant()
    server.hold = asyncio.Event()
    await bed.destination(tenant, server.receiver.url("/hook"), auth=server.auth())
    attempt = await delivered(bed, tenant, state="dead", timeout_s=0.2)
    assert attempt.error == "timeout: before the destination was called"
    server.hold.set()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (3600, 3600.0),
        ("600", 600.0),
        (0.5, 1.0),
        (0, 1.0),
        (-5, 1.0),
        (10**400, 300.0),
        (1e300, LONGEST_S),
        ("inf", LONGEST_S),
        ("nan", 300.0),
        (None, 300.0),
        ("soon", 300.0),
        ([], 300.0),
    ],
)
def test_a_token_lives_for_a_sane_while(given: object, seconds: float) -> None:
    assert life_s(given) == seconds


def test_what_is_a_token() -> None:
    assert is_token("eyJ.a-b_c~d+e/f==")
    assert not any(map(is_token, ("", " ", "a\n", "\x7f", "é", "x" * 9000)))
