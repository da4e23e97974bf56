"""Changing one's own password."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.beds.signing_in import PASSWORD, Person, SigningInBed, new_address

NEW = "a sentence that nobody has said"


async def change(
    ann: Person, pair: Any, *, current: str = PASSWORD, new: str = NEW
) -> httpx.Response:
    """Ask for another password."""
    body = {"current_password": current, "new_password": new}
    return await ann.call(pair, "/v1/auth/password", body)


async def test_a_changed_password_ends_all_that_the_old_one_opened(
    bed: SigningInBed, ann: Person
) -> None:
    pair, elsewhere = await ann.login(), await ann.login()
    answer = await change(ann, pair)
    assert answer.status_code == 200, answer.text
    fresh = answer.json()
    for old in (pair, elsewhere):
        assert (await ann.get(old)).status_code == 401
        assert (await bed.refresh(old["refresh_token"])).status_code == 401
    assert (await ann.get(fresh)).status_code == 200
    assert (await bed.refresh(fresh["refresh_token"])).status_code == 200
    assert (await ann.try_login()).status_code == 401
    await ann.login(NEW)


async def test_it_is_written_down_told_and_mailed(bed: SigningInBed, ann: Person) -> None:
    await change(ann, await ann.login())
    assert "user.password-change" in [action for action, _ in await ann.actions()]
    assert await bed.outbox_of(ann) == [("user", str(ann.id))]
    letters = await ann.letters("password-changed")
    assert len(letters) == 1
    assert ann.address in letters[0].text


async def test_without_the_current_password_nothing_changes(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    answer = await change(ann, pair, current="a stolen token is no password")
    assert answer.status_code == 403
    assert await ann.refusals("user.password-change") == ["password"]
    assert (await ann.get(pair)).status_code == 200
    await ann.login()


async def test_a_token_does_not_help_to_guess_the_password(bed: SigningInBed, ann: Person) -> None:
    pair = await ann.login()
    for at in range(11):
        ann.address = new_address()
        answer = await change(ann, pair, current=f"guess number {at}")
        assert answer.status_code == (403 if at < 10 else 429)
    assert (await change(ann, pair)).status_code == 429
    await ann.login()


@pytest.mark.parametrize("new", ["short", PASSWORD, "x" * 300, "crossdock123"])
async def test_a_poor_password_is_refused_and_nothing_ends(
    bed: SigningInBed, ann: Person, new: str
) -> None:
    pair = await ann.login()
    answer = await change(ann, pair, new=new)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/new_password"]
    assert (await ann.get(pair)).status_code == 200


async def test_of_two_changes_at_once_one_is_made(bed: SigningInBed, ann: Person) -> None:
    pairs = [await ann.login(), await ann.login()]
    wishes = [f"{NEW} {at}" for at in range(2)]
    answers = await asyncio.gather(
        *(change(ann, pair, new=wish) for pair, wish in zip(pairs, wishes, strict=True))
    )
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 401, 403, 409}
    await ann.login(wishes[statuses.index(200)])
    assert (await ann.get(answers[statuses.index(200)].json())).status_code == 200


async def test_a_key_has_no_password(bed: SigningInBed, ann: Person) -> None:
    body = {"name": "a key", "permissions": ["sources:read"]}
    key = (await ann.call(await ann.login(), "/v1/api-keys", body)).json()["key"]
    assert (await change(ann, {"access_token": key})).status_code == 403
