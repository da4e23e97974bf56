"""Going on with a session: once a token, and never for whoever stole one."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from crossdock import ids
from crossdock.identity.refresh import RefreshToken
from crossdock.identity.sessions import rules
from tests.beds.signing_in import PASSWORD, Person, SigningInBed

PARALLEL = 100


async def grow_old(bed: SigningInBed, pair: Any, seconds: float) -> None:
    """Have the use of a refresh token lie further back."""
    await bed.admin.execute(
        "UPDATE crossdock.refresh_tokens SET used_at = used_at - make_interval(secs => $2)"
        " WHERE hash = $1",
        RefreshToken.parse(pair["refresh_token"], "test").hash,
        seconds,
    )


async def tokens_of(bed: SigningInBed, pair: Any) -> list[Any]:
    """Return the rows of a session's refresh tokens."""
    found: list[Any] = await bed.admin.fetch(
        "SELECT * FROM crossdock.refresh_tokens WHERE session_id = $1 ORDER BY created_at",
        session_of(pair),
    )
    return found


async def row_of(bed: SigningInBed, pair: Any) -> Any:
    """Return the row of a session."""
    return await bed.admin.fetchrow(
        "SELECT * FROM crossdock.sessions WHERE id = $1", session_of(pair)
    )


def session_of(pair: Any) -> UUID:
    """Return the id of a pair's session."""
    return ids.decode("ses", pair["session_id"])


async def next_of(bed: SigningInBed, pair: Any) -> Any:
    """Go on with a session."""
    answer = await bed.refresh(pair["refresh_token"])
    assert answer.status_code == 200, answer.text
    return answer.json()


async def is_over(bed: SigningInBed, ann: Person, *pairs: Any) -> bool:
    """Tell whether nothing of these pairs is good for anything."""
    statuses = {(await ann.get(pair)).status_code for pair in pairs}
    statuses |= {(await bed.refresh(pair["refresh_token"])).status_code for pair in pairs}
    return statuses == {401}


async def test_a_refresh_token_gives_the_next_pair(bed: SigningInBed, ann: Person) -> None:
    first = await ann.login()
    answer = await bed.refresh(first["refresh_token"])
    assert answer.headers["cache-control"] == "no-store"
    second = answer.json()
    assert second["session_id"] == first["session_id"]
    assert second["refresh_token"] != first["refresh_token"]
    for pair in (first, second, await next_of(bed, second)):
        assert (await ann.get(pair)).status_code == 200
    assert len(await tokens_of(bed, first)) == 3


async def test_nothing_but_hashes_is_kept(bed: SigningInBed, ann: Person) -> None:
    first = await ann.login()
    second = await next_of(bed, first)
    kept = [row["hash"] for row in await tokens_of(bed, first)]
    secrets = [RefreshToken.parse(pair["refresh_token"], "test").secret for pair in (first, second)]
    assert len(kept) == 2
    assert not set(kept) & set(secrets)


async def test_roles_are_those_of_now(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    await ann.set(roles=["viewer"])
    assert (await ann.get(await next_of(bed, pair))).json()["roles"] == ["viewer"]


async def test_a_hundred_at_once_get_one_successor(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    answers = await asyncio.gather(*(next_of(bed, pair) for _ in range(PARALLEL)))
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert {answer["session_id"] for answer in answers} == {pair["session_id"]}
    assert len({answer["refresh_expires_at"] for answer in answers}) == 1
    rows = await tokens_of(bed, pair)
    assert [row["used_at"] is None for row in rows] == [False, True]
    assert rows[1]["parent_hash"] == rows[0]["hash"]
    await next_of(bed, answers[0])


async def test_who_lost_the_answer_gets_it_again_and_nothing_lasts_longer(
    bed: SigningInBed, ann: Person
) -> None:
    pair = await ann.login()
    first = await next_of(bed, pair)
    await grow_old(bed, pair, 9)
    before = await row_of(bed, pair), await tokens_of(bed, pair)
    again = await next_of(bed, pair)
    assert again["refresh_token"] == first["refresh_token"]
    assert again["refresh_expires_at"] == first["refresh_expires_at"]
    assert (await row_of(bed, pair), await tokens_of(bed, pair)) == before
    await grow_old(bed, pair, 2)
    assert (await bed.refresh(pair["refresh_token"])).status_code == 401
    assert await is_over(bed, ann, pair, first, again)


async def test_reuse_after_the_grace_ends_the_family(bed: SigningInBed, ann: Person) -> None:
    stolen = await ann.login()
    elsewhere = await ann.login()
    owners = await next_of(bed, stolen)
    await grow_old(bed, stolen, 11)
    answer = await bed.refresh(stolen["refresh_token"])
    assert answer.status_code == 401
    assert answer.json()["type"] == "/problems/unauthenticated"
    assert (await row_of(bed, stolen))["revoked_reason"] == "reuse"
    assert await is_over(bed, ann, stolen, owners)
    assert await ann.refusals("session.reuse") == ["used-before"]
    letters = await ann.letters("session-ended")
    assert len(letters) == 1
    assert ann.slug in letters[0].text
    assert (await ann.get(elsewhere)).status_code == 200


async def test_a_stolen_token_that_was_used_first_is_found_out_by_its_owner(
    bed: SigningInBed, ann: Person
) -> None:
    """The thief goes on with it; the owner, who comes later, ends it for both."""
    pair = await ann.login()
    thiefs = await next_of(bed, await next_of(bed, pair))
    assert (await bed.refresh(pair["refresh_token"])).status_code == 401
    assert await is_over(bed, ann, pair, thiefs)


async def test_the_grace_is_for_the_last_token_only(bed: SigningInBed, ann: Person) -> None:
    """Whoever has the answer has used it: nobody has lost it."""
    pair = await ann.login()
    second = await next_of(bed, pair)
    third = await next_of(bed, second)
    assert (await next_of(bed, second))["refresh_token"] == third["refresh_token"]
    assert (await bed.refresh(pair["refresh_token"])).status_code == 401
    assert await is_over(bed, ann, pair, second, third)


async def test_the_revocation_is_told_to_all_gateways(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    await next_of(bed, pair)
    await grow_old(bed, pair, 11)
    await bed.refresh(pair["refresh_token"])
    assert await bed.outbox_of(ann) == [("session", str(session_of(pair)))]


async def test_knowing_a_sessions_id_ends_nothing(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    made_up = RefreshToken.new(ann.tenant_id, session_of(pair)).format("test")
    assert (await bed.refresh(made_up)).status_code == 401
    await next_of(bed, pair)


async def test_a_token_opens_no_session_but_its_own(bed: SigningInBed, ann: Person) -> None:
    bob = await bed.person()
    carol = await bed.person(tenant=(ann.tenant_id, ann.slug))
    pairs = [await one.login() for one in (ann, bob, carol)]
    mine, *others = [RefreshToken.parse(pair["refresh_token"], "test") for pair in pairs]
    for other in others:
        for crossed in (
            RefreshToken(other.tenant_id, other.id, mine.secret),
            RefreshToken(other.tenant_id, mine.id, mine.secret),
            RefreshToken(mine.tenant_id, other.id, mine.secret),
        ):
            if crossed != mine:
                assert (await bed.refresh(crossed.format("test"))).status_code == 401
    for pair in pairs:
        await next_of(bed, pair)


async def test_what_is_no_token_of_ours_gets_one_answer(bed: SigningInBed, ann: Person) -> None:
    text = (await ann.login())["refresh_token"]
    own = RefreshToken.parse(text, "test")
    texts = [
        "x",
        text[:-1] + ("0" if text[-1] != "0" else "1"),
        text.replace("cdr_", "cdk_"),
        own.format("prod"),
        RefreshToken.new(ids.new(), ids.new()).format("test"),
        RefreshToken.new(ann.tenant_id, ids.new()).format("test"),
    ]
    answers = [await bed.refresh(one) for one in texts]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def change_session(bed: SigningInBed, pair: Any, change: str) -> None:
    """Change a session's row behind everybody's back."""
    await bed.admin.execute(
        f"UPDATE crossdock.sessions SET {change} WHERE id = $1",  # noqa: S608 - of these tests
        session_of(pair),
    )


@pytest.mark.parametrize(
    "change",
    [
        "idle_ends_at = now()",
        "ends_at = now()",
        "revoked_at = now()",
    ],
)
async def test_a_session_that_is_over_goes_on_for_nobody(
    bed: SigningInBed, ann: Person, change: str
) -> None:
    pair = await ann.login()
    await change_session(bed, pair, change)
    assert (await bed.refresh(pair["refresh_token"])).status_code == 401
    assert (await tokens_of(bed, pair))[0]["used_at"] is None


async def test_a_session_in_use_idles_never_but_ends_at_last(
    bed: SigningInBed, ann: Person
) -> None:
    settings = bed.settings.identity
    pair = await ann.login()
    await change_session(
        bed, pair, "created_at = now() - interval '89 days', idle_ends_at = now() + interval '1 s'"
    )
    await change_session(bed, pair, "ends_at = created_at + interval '90 days'")
    await next_of(bed, pair)
    row = await row_of(bed, pair)
    assert row["idle_ends_at"] == row["ends_at"]
    assert row["ends_at"] - row["created_at"] == timedelta(seconds=settings.refresh_absolute_s)


async def test_no_access_token_outlives_its_session(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    await change_session(bed, pair, "ends_at = now() + interval '60 s'")
    assert 0 < (await next_of(bed, pair))["expires_in"] <= 60


async def test_a_disabled_user_goes_on_no_more(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    await ann.set(state="disabled")
    answer = await bed.refresh(pair["refresh_token"])
    assert answer.status_code == 401
    assert await ann.refusals("session.refresh") == ["disabled"]
    await ann.set(state="active")
    await next_of(bed, pair)


@pytest.mark.parametrize(
    ("state", "status"), [("suspended", 403), ("provisioning", 401), ("terminated", 401)]
)
async def test_a_tenant_that_is_not_active_goes_on_no_more(
    bed: SigningInBed, ann: Person, state: str, status: int
) -> None:
    pair = await ann.login()
    await ann.set_tenant(state=state)
    assert (await bed.refresh(pair["refresh_token"])).status_code == status
    assert await ann.refusals("session.refresh") == [state]
    await ann.set_tenant(state="active")
    await next_of(bed, pair)


async def test_a_loop_of_refusals_does_not_fill_the_audit(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    await change_session(bed, pair, "revoked_at = now()")
    for _ in range(25):
        assert (await bed.refresh(pair["refresh_token"])).status_code == 401
    assert await ann.refusals("session.refresh") == ["ended"] * 10


async def test_a_refresh_waits_for_a_logout_that_is_under_way(
    bed: SigningInBed, ann: Person, second_admin: asyncpg.Connection
) -> None:
    pair = await ann.login()
    transaction = second_admin.transaction()
    await transaction.start()
    await second_admin.execute(
        "UPDATE crossdock.sessions SET revoked_at = now() WHERE id = $1", session_of(pair)
    )
    refreshing = asyncio.create_task(bed.refresh(pair["refresh_token"]))
    await bed.until_somebody_waits()
    await transaction.commit()
    assert (await refreshing).status_code == 401
    assert len(await tokens_of(bed, pair)) == 1


async def test_a_refresh_waits_for_a_change_of_the_user(
    bed: SigningInBed, ann: Person, second_admin: asyncpg.Connection
) -> None:
    """Its token is of after the change, and knows it."""
    pair = await ann.login()
    transaction = second_admin.transaction()
    await transaction.start()
    await second_admin.execute(
        "UPDATE crossdock.users SET roles = '{viewer}', not_before = clock_timestamp()"
        " WHERE id = $1",
        ann.id,
    )
    refreshing = asyncio.create_task(bed.refresh(pair["refresh_token"]))
    await bed.until_somebody_waits()
    await transaction.commit()
    me = await ann.get((await refreshing).json())
    assert (me.status_code, me.json()["roles"]) == (200, ["viewer"])


@pytest.mark.parametrize("lead", range(6))
async def test_no_refresh_outlives_a_logout(bed: SigningInBed, ann: Person, lead: int) -> None:
    """Whoever is first, in the end nothing is left of the session."""
    pair = await ann.login()
    refreshing = [asyncio.create_task(bed.refresh(pair["refresh_token"]))]
    for _ in range(lead * 4):
        await asyncio.sleep(0)
    logout = asyncio.create_task(ann.call(pair, "/v1/auth/logout"))
    refreshing += [asyncio.create_task(bed.refresh(pair["refresh_token"])) for _ in range(4)]
    assert (await logout).status_code == 204
    answers = await asyncio.gather(*refreshing)
    assert {answer.status_code for answer in answers} <= {200, 401}
    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert await is_over(bed, ann, pair, *won)


@pytest.mark.parametrize("lead", range(3))
async def test_no_refresh_outlives_a_change_of_the_password(
    bed: SigningInBed, ann: Person, lead: int
) -> None:
    pair = await ann.login()
    body = {"current_password": PASSWORD, "new_password": "quite another sentence this time"}
    changing = asyncio.create_task(ann.call(pair, "/v1/auth/password", body))
    last, won = pair, [pair]
    while not changing.done():
        for _ in range(lead):
            await asyncio.sleep(0)
        answer = await bed.refresh(last["refresh_token"])
        if answer.status_code != 200:
            break
        last = answer.json()
        won.append(last)
    answer = await changing
    assert answer.status_code == 200, answer.text
    assert await is_over(bed, ann, *won[:1], *won[-3:])
    assert (await ann.get(answer.json())).status_code == 200


async def test_the_rules_of_a_used_token_are_strict_about_time() -> None:
    from crossdock.identity.sessions.model import Step  # noqa: PLC0415

    now = ids.time_of(ids.new())
    for seconds, successor_used, expected in (
        (0, False, "answer"),
        (10, False, "answer"),
        (10.001, False, "reuse"),
        (0, True, "reuse"),
    ):
        step = Step(now - timedelta(seconds=seconds), successor_used)
        assert rules.repeats(step, now, 10.0) == expected
