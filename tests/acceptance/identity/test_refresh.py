"""Refresh tokens: one successor each, a grace for those who lost the answer, no way for a thief."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

import httpx
import msgspec
import pytest

from tests.acceptance.identity.gateways import another_gateway
from tests.acceptance.identity.people import Person, Session, Town, settled
from tests.acceptance.identity.problems import ok, refused, refused_anyhow, told
from tests.faults.waiting import until

REFRESH = "/v1/auth/refresh"
GRACE_S = 10.0


async def renew(town: Town, token: str) -> httpx.Response:
    return await town.anyone().post(REFRESH, {"refresh_token": token})


async def all_ended(town: Town, tokens: Sequence[str], access: Sequence[str]) -> None:
    """Check that a family is gone: no refresh token works, and soon no access token."""
    for token in tokens:
        refused(await renew(town, token), 401, "unauthenticated")
    for token in access:
        await settled(partial(town.bearer(token).get, "/v1/auth/me"), 401)


async def test_a_refresh_hands_over_to_the_next(town: Town, owner: Person) -> None:
    first = await owner.login()

    reply = await renew(town, first.refresh)
    second = Session(town, ok(reply, 200))
    third = await second.renew()

    assert "no-store" in reply.headers["cache-control"]
    assert len({first.refresh, second.refresh, third.refresh}) == 3
    assert first.access != second.access
    assert first.id == second.id == third.id
    assert ok(await third.rest.get("/v1/auth/me"))["actor"]["id"] == owner.id


async def test_the_end_of_a_family_is_told_and_does_not_move_beyond(owner: Person) -> None:
    first = await owner.login()
    second = await first.renew()

    ends = [datetime.fromisoformat(s.pair["refresh_expires_at"]) for s in (first, second)]

    for end in ends:
        assert timedelta(days=13) < end - datetime.now(UTC) <= timedelta(days=14, minutes=1)
    assert ends[1] >= ends[0]


async def test_a_hundred_refreshes_of_one_token_have_one_successor(
    town: Town, owner: Person
) -> None:
    first = await owner.login()

    replies = await asyncio.gather(*(renew(town, first.refresh) for _ in range(100)))

    # On a busy machine the last in the line for the session's row may be told to come again.
    late = [reply for reply in replies if reply.status_code == 503]
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in late)
    again = [await renew(town, first.refresh) for _ in late]
    pairs = [ok(reply, 200) for reply in (*replies, *again) if reply not in late]
    assert len(pairs) == len(replies)
    assert len({pair["refresh_token"] for pair in pairs}) == 1
    assert {pair["session_id"] for pair in pairs} == {first.id}
    for caller in (town.bearer(pairs[0]["access_token"]), town.bearer(pairs[-1]["access_token"])):
        ok(await caller.get("/v1/auth/me"))
    await Session(town, pairs[0]).renew()


async def test_a_lost_answer_is_had_again(town: Town, owner: Person) -> None:
    first = await owner.login()

    second, again = await first.renew(), await first.renew()

    assert second.refresh == again.refresh
    await again.renew()


@pytest.mark.slow
async def test_the_grace_does_not_extend(town: Town) -> None:
    founder = await town.founder()
    first = founder.session
    second = await first.renew()
    used = monotonic()

    def is_past(moment: float) -> bool:
        return monotonic() - used > moment

    for moment in (GRACE_S * 0.5, GRACE_S * 0.8):
        await until(partial(is_past, moment), "time to pass")
        assert (await first.renew()).refresh == second.refresh
    await until(partial(is_past, GRACE_S + 0.5), "the end of the grace")

    refused(await renew(town, first.refresh), 401, "unauthenticated")

    await all_ended(town, [first.refresh, second.refresh], [first.access, second.access])


async def test_an_older_token_ends_the_family_and_no_other(town: Town) -> None:
    founder = await town.founder()
    bystander = await founder.login()
    first = founder.session
    second = await first.renew()
    third = await second.renew()
    before = await bystander.rest.all("/v1/audit")

    refused(await renew(town, first.refresh), 401, "unauthenticated")

    family = (first, second, third)
    await all_ended(town, [s.refresh for s in family], [s.access for s in family])
    await bystander.renew()
    fresh = [entry for entry in await bystander.rest.all("/v1/audit") if entry not in before]
    assert any("reuse" in entry["action"] for entry in fresh), fresh
    listed = await bystander.rest.all("/v1/auth/sessions")
    assert [session["id"] for session in listed if session.get("revoked_at") is None] == [
        bystander.id
    ]


async def test_whoever_was_robbed_is_told(town: Town) -> None:
    founder = await town.founder()
    second = await founder.session.renew()
    await second.renew()

    def letters() -> int:
        return len(town.post.to(founder.email))

    before = letters()
    refused(await renew(town, founder.session.refresh), 401)

    await until(lambda: letters() > before, "a letter to whoever was robbed", within=15)


async def test_a_thief_and_the_robbed_racing_end_the_family(town: Town, owner: Person) -> None:
    first = await owner.login()
    second = await first.renew()
    third = await second.renew()

    replies = await asyncio.gather(
        *(renew(town, token) for token in [first.refresh, third.refresh] * 10)
    )

    gained = [reply.json() for reply in replies if reply.status_code == 200]
    refreshes = [pair["refresh_token"] for pair in gained]
    await all_ended(town, [third.refresh, *refreshes], [pair["access_token"] for pair in gained])


async def test_a_refresh_does_not_outlive_a_logout(town: Town, owner: Person) -> None:
    for _ in range(12):
        first = await owner.login()

        *replies, out = await asyncio.gather(
            *(renew(town, first.refresh) for _ in range(4)),
            first.rest.post("/v1/auth/logout"),
        )

        assert out.status_code == 204, told(out)
        gained = [Session(town, ok(reply)) for reply in replies if reply.status_code == 200]
        for reply in replies:
            assert reply.status_code in {200, 401}, told(reply)
        await all_ended(
            town,
            [first.refresh, *{session.refresh for session in gained}],
            [first.access, *(session.access for session in gained)],
        )


async def test_after_a_logout_nothing_of_the_family_works(town: Town, owner: Person) -> None:
    first = await owner.login()
    second = await first.renew()

    assert (await second.rest.post("/v1/auth/logout")).status_code == 204

    await all_ended(town, [first.refresh, second.refresh], [first.access, second.access])
    ok(await owner.rest.get("/v1/auth/me"))


def swapped(token: str, place: int) -> str:
    """Return it with one character changed."""
    place %= len(token)
    return token[:place] + ("b" if token[place] != "b" else "c") + token[place + 1 :]


@pytest.mark.parametrize("place", [0, 4, 9, 20, 35, 60, -8, -1])
async def test_a_spoilt_token_is_no_reuse(town: Town, owner: Person, place: int) -> None:
    session = await owner.login()
    spoilt = swapped(session.refresh, place)

    refused(await renew(town, spoilt), 401, "unauthenticated")

    await session.renew()


@pytest.mark.parametrize(
    "token", ["", "x", "cdr_", "cdr_dev_", "cdr_dev_x_y", "\x00", "é" * 30, "a" * 9000, "../.."]
)
async def test_a_guess_gets_nothing(town: Town, token: str) -> None:
    refused(await renew(town, token), {401, 422})


@pytest.mark.parametrize("token", [None, 1, [], {}, True])
async def test_a_token_is_a_text(town: Town, token: Any) -> None:
    refused(await town.anyone().post(REFRESH, {"refresh_token": token}), 422, "invalid")


async def test_an_access_token_refreshes_nothing_and_a_refresh_token_opens_nothing(
    town: Town, owner: Person
) -> None:
    session = await owner.login()

    refused(await renew(town, session.access), {401, 422})
    refused(await town.bearer(session.refresh).get("/v1/auth/me"), 401, "unauthenticated")
    reply = await session.rest.post(REFRESH)
    refused_anyhow(reply)


async def test_a_refresh_token_is_in_no_list(town: Town) -> None:
    founder = await town.founder()
    second = await founder.session.renew()

    for path in ("/v1/auth/sessions", "/v1/audit", f"/v1/users/{founder.id}/sessions"):
        text = msgspec.json.encode(await second.rest.all(path)).decode()
        for token in (founder.session.refresh, second.refresh):
            assert token not in text
            assert token[-30:] not in text


async def test_two_tenants_families_have_nothing_to_do_with_one_another(town: Town) -> None:
    one, other = await town.founders(2)
    # What names the tenant and the session comes before the secret: this is one's secret in the
    # other's frame, and the other way round.
    mixed = [
        a.session.refresh[:-49] + b.session.refresh[-49:] for a, b in ((one, other), (other, one))
    ]

    for token in mixed:
        refused(await renew(town, token), 401, "unauthenticated")

    await one.session.renew()
    await other.session.renew()


async def test_a_disabled_user_refreshes_nothing(town: Town, owner: Person) -> None:
    colleague = await town.colleague(owner, "viewer")

    ok(await owner.rest.patch(f"/v1/users/{colleague.id}", {"state": "disabled"}))

    refused(await renew(town, colleague.session.refresh), 401, "unauthenticated")


@pytest.mark.slow
async def test_a_family_ends_when_it_is_idle_and_at_last_in_any_case(town: Town) -> None:
    founder = await town.founder()
    brief = {
        "CROSSDOCK_IDENTITY__REFRESH_IDLE_S": "2",
        "CROSSDOCK_IDENTITY__REFRESH_ABSOLUTE_S": "5",
    }
    body = {"email": founder.email, "password": founder.password}
    async with another_gateway(town.stack, brief) as url:

        async def ask(path: str, content: Any) -> httpx.Response:
            return await town.http.post(url + path, json=content)

        idle = ok(await ask("/v1/auth/login", body), 200)
        busy = ok(await ask("/v1/auth/login", body), 200)
        began = monotonic()

        async def is_over() -> bool:
            nonlocal busy
            reply = await ask(REFRESH, {"refresh_token": busy["refresh_token"]})
            if reply.status_code == 200:
                busy = ok(reply)
                return False
            refused(reply, 401, "unauthenticated")
            return True

        await until(is_over, "the absolute end", within=8, step=0.4)
        lasted = monotonic() - began
        refused(await ask(REFRESH, {"refresh_token": idle["refresh_token"]}), 401)

    assert 4 < lasted < 7.5, "The absolute end is the one that counts, whatever is used between."
    await founder.session.renew()
