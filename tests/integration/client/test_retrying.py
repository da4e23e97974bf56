"""Both clients in front of a server that fails as it is told."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from crossdock.client import ConnectionFailed, ProblemError, Retry, UnexpectedAnswer, errors
from tests.beds.asking import Asking, asking
from tests.beds.faulty import Cut, Faulty, Reply, faulty

QUICK = Retry(tries=3, base_s=0.01, cap_s=0.02, longest_wait_s=5.0)
ME = {
    "actor": {"kind": "key", "id": "key_1"},
    "tenant": {"id": "ten_1", "slug": "acme", "state": "active"},
    "roles": [],
    "permissions": [],
}
OK = Reply(200, msgspec.json.encode(ME), {"content-type": "application/json"})
GONE = Reply(204)


def refusal(status: int, name: str, **headers: str) -> Reply:
    body = msgspec.json.encode({"type": f"/problems/{name}", "status": status})
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Reply(status, body, {"content-type": "application/problem+json", **named})


BUSY = refusal(503, "busy")


@pytest.fixture
async def server() -> AsyncIterator[Faulty]:
    async with faulty() as found:
        yield found


@pytest.fixture(params=["waited", "awaited"])
async def client(request: pytest.FixtureRequest, server: Faulty) -> AsyncIterator[Asking]:
    async with asking(request.param, server.url, "a-token", retry=QUICK) as found:
        yield found


def me(client: Any) -> Any:
    """Ask with a GET."""
    return client.auth.get_me()


def delete(client: Any) -> Any:
    """Ask with what takes a key."""
    return client.sources.delete("src_1")


def login(client: Any) -> Any:
    """Ask with what takes none, and must not be sent twice."""
    return client.auth.login(email="ann@example.com", password="a password")


async def test_what_passes_is_asked_for_again(client: Asking, server: Faulty) -> None:
    server.deal(BUSY, Cut(), OK)
    found = await client.ask(me)
    assert found.tenant.slug == "acme"
    assert len(server.seen) == 3


@pytest.mark.parametrize("fate", [BUSY, refusal(429, "quota-exceeded"), Reply(502, b"<html>")])
async def test_after_the_last_try_the_problem_is_raised(
    client: Asking, server: Faulty, fate: Reply
) -> None:
    server.deal(*[fate] * 9)
    with pytest.raises(ProblemError) as caught:
        await client.ask(me)
    assert caught.value.status == fate.status
    assert len(server.seen) == QUICK.tries


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "malformed"), (404, "not-found"), (409, "outcome-unknown"), (500, "internal")],
)
async def test_what_stays_is_raised_at_once(
    client: Asking, server: Faulty, status: int, name: str
) -> None:
    server.deal(refusal(status, name))
    with pytest.raises(errors.BY_TYPE[name]):
        await client.ask(delete)
    assert len(server.seen) == 1


async def test_the_server_says_how_long_to_wait(client: Asking, server: Faulty) -> None:
    server.deal(refusal(503, "unavailable", retry_after="1"), OK)
    await client.ask(me)
    first, second = server.seen
    assert second.at - first.at >= 1.0


async def test_a_wait_that_is_too_long_is_the_callers_to_make(
    client: Asking, server: Faulty
) -> None:
    server.deal(refusal(429, "quota-exceeded", retry_after="60"), OK)
    with pytest.raises(errors.TooManyRequests) as caught:
        await client.ask(me)
    assert caught.value.retry_after_s == 60.0
    assert len(server.seen) == 1


async def test_each_try_of_a_change_carries_the_same_key(client: Asking, server: Faulty) -> None:
    server.deal(Cut(), refusal(409, "idempotency-in-progress"), GONE, GONE)
    await client.ask(delete)
    await client.ask(lambda found: found.sources.delete("src_1", idempotency_key="mine"))
    first, second, third, other = (one.headers["idempotency-key"] for one in server.seen)
    assert first == second == third
    assert other == '"mine"'


@pytest.mark.parametrize("fate", [Cut(), BUSY])
async def test_what_must_not_happen_twice_is_sent_once(
    client: Asking, server: Faulty, fate: Cut | Reply
) -> None:
    server.deal(fate, OK)
    with pytest.raises((ConnectionFailed, errors.Busy)):
        await client.ask(login)
    assert len(server.seen) == 1
    assert "idempotency-key" not in server.seen[0].headers


async def test_nobody_there_is_told_after_all_tries(client: Asking, server: Faulty) -> None:
    server.deal(*[Cut()] * 9)
    with pytest.raises(ConnectionFailed, match="3 tries"):
        await client.ask(me)
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "fate",
    [Reply(302, b"", {"location": "http://127.0.0.1:1/"}), Reply(200, b"<html>"), Reply(304)],
)
async def test_an_answer_of_another_server_is_told_as_such(
    client: Asking, server: Faulty, fate: Reply
) -> None:
    server.deal(fate)
    with pytest.raises(UnexpectedAnswer, match="/v1/auth/me"):
        await client.ask(me)
    assert len(server.seen) == 1


async def test_a_cookie_is_not_kept(client: Asking, server: Faulty) -> None:
    server.deal(Reply(200, OK.body, {"set-cookie": "session=1; Path=/"}), OK)
    await client.ask(me)
    await client.ask(me)
    assert all("cookie" not in one.headers for one in server.seen)


async def test_it_says_what_it_is_and_for_whom(client: Asking, server: Faulty) -> None:
    server.deal(OK, OK, OK)
    await client.ask(me)
    await client.ask(me, "another-token")
    await client.ask(me)
    assert [one.headers["authorization"] for one in server.seen] == [
        "Bearer a-token",
        "Bearer another-token",
        "Bearer a-token",
    ]
    assert server.seen[0].headers["user-agent"].startswith("crossdock-client/")


def page(names: list[str], cursor: str | None) -> Reply:
    items = [{"id": name, "operator": "o", "reason": "r"} for name in names]
    moments = {"created_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}
    whole = [item | moments | {"ended_at": None, "ended_by": None} for item in items]
    return Reply(200, msgspec.json.encode({"items": whole, "next_cursor": cursor}))


async def test_a_list_goes_from_page_to_page(client: Asking, server: Faulty) -> None:
    server.deal(page(["a", "b"], "c1"), BUSY, page(["c"], "c2"), page([], None))
    found = await client.all(lambda found: found.support_accesses.list(limit=2))
    assert [one.id for one in found] == ["a", "b", "c"]
    assert [one.path.partition("?")[2] for one in server.seen] == [
        "limit=2",
        *["limit=2&cursor=c1"] * 2,
        "limit=2&cursor=c2",
    ]


async def test_a_list_that_leads_in_circles_ends(client: Asking, server: Faulty) -> None:
    server.deal(page(["a"], "c1"), page(["b"], "c1"))
    with pytest.raises(UnexpectedAnswer, match="same page"):
        await client.all(lambda found: found.support_accesses.list())


async def test_nothing_is_asked_before_a_list_is_iterated(client: Asking, server: Faulty) -> None:
    listing: Callable[[Any], Any] = lambda found: found.support_accesses.list()  # noqa: E731
    server.deal(page(["a"], "c1"))
    await client.ask(listing)
    assert not server.seen
