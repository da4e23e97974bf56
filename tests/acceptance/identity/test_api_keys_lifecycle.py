"""An API key's life: shown once, scoped, ending, replaced with an overlap, known by its looks."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

import msgspec
import pytest

from tests.acceptance.identity.people import Person, Town, key, settled, source, unauthenticated
from tests.acceptance.identity.problems import invalid, ok, refused, refused_anyhow, told
from tests.faults.waiting import until

KEYS = "/v1/api-keys"
LOOKS = re.compile(r"cdk_[a-z]{1,16}_[0-9A-Za-z]+_[0-9A-Za-z_-]{43,}")
"""What a scanner for leaked secrets would look for."""


async def rotate(host: Person, made: Any, **body: Any) -> Any:
    return ok(await host.rest.post(f"{KEYS}/{made['id']}/rotate", body), 201)


async def test_a_key_does_what_it_was_made_for_and_no_more(town: Town, owner: Person) -> None:
    made = await key(owner.rest, "sources:read")
    robot = town.bearer(made["key"])

    ok(await robot.get("/v1/sources"))
    me = ok(await robot.get("/v1/auth/me"))

    assert LOOKS.fullmatch(made["key"]), "A scanner finds it."
    assert me["actor"] == {"kind": "key", "id": made["id"]} | (
        {"email": None} if "email" in me["actor"] else {}
    )
    assert me["permissions"] == ["sources:read"]
    for method, path, body in (
        ("GET", "/v1/events", None),
        ("GET", "/v1/users", None),
        ("GET", KEYS, None),
        ("POST", "/v1/sources", {"name": "x", "scheme": "none", "secrets": []}),
        ("POST", KEYS, {"name": "x", "permissions": ["sources:read"]}),
        ("POST", f"{KEYS}/{made['id']}/rotate", {}),
        ("GET", "/v1/admin/tenants", None),
        ("GET", "/v1/audit", None),
    ):
        refused(await robot.call(method, path, body), 403, "forbidden")


async def test_a_key_is_shown_once(owner: Person) -> None:
    made = await key(owner.rest, "sources:read")
    newer = await rotate(owner, made)

    shown = [
        ok(await owner.rest.get(f"{KEYS}/{made['id']}")),
        ok(await owner.rest.get(f"{KEYS}/{newer['id']}")),
        await owner.rest.all(KEYS),
        await owner.rest.all("/v1/audit"),
    ]

    for text in map(msgspec.json.encode, shown):
        for secret in (made["key"], newer["key"]):
            assert secret.encode() not in text
            assert secret.rpartition("_")[2][:30].encode() not in text


async def test_nobody_makes_a_key_that_may_more_than_they(town: Town, owner: Person) -> None:
    viewer = await town.colleague(owner, "developer")
    held = set((await viewer.me())["permissions"])
    lacked = sorted(set((await owner.me())["permissions"]) - held)
    assert lacked

    reply = await viewer.rest.post(KEYS, {"name": "x", "permissions": [lacked[0]]})

    refused(reply, 403, "forbidden")


async def test_any_letter_that_is_wrong_makes_it_unknown(town: Town, owner: Person) -> None:
    text = (await key(owner.rest, "sources:read"))["key"]
    unknown = await town.bearer("cdk_dev_nonesuch").get("/v1/sources")
    unauthenticated(unknown)

    for place in range(len(text)):
        other = "b" if text[place] != "b" else "c"
        spoilt = text[:place] + other + text[place + 1 :]
        reply = await town.bearer(spoilt).get("/v1/sources")
        unauthenticated(reply)
        assert reply.json()["detail"] == unknown.json()["detail"]
    for spelt in (text + "a", text[:-1], text.upper(), text.replace("cdk_dev", "cdk_prod")):
        unauthenticated(await town.bearer(spelt).get("/v1/sources"))

    ok(await town.bearer(text).get("/v1/sources"))


async def test_a_keys_parts_are_not_mixed(town: Town, owner: Person) -> None:
    other = await town.founder()
    mine, theirs = [
        (await key(person.rest, "sources:read"))["key"].split("_", 3) for person in (owner, other)
    ]

    unauthenticated(await town.bearer("_".join([*mine[:3], theirs[3]])).get("/v1/sources"))
    unauthenticated(await town.bearer("_".join([*theirs[:3], mine[3]])).get("/v1/sources"))


async def test_a_key_ends_when_it_was_said_to(town: Town, owner: Person) -> None:
    end = datetime.now(UTC) + timedelta(seconds=3)
    made = await key(owner.rest, "sources:read", expires_at=end.isoformat())
    robot = town.bearer(made["key"])
    ok(await robot.get("/v1/sources"))

    async def has_ended() -> bool:
        return (await robot.get("/v1/sources")).status_code == 401

    await until(has_ended, "the end of the key", within=6)
    assert datetime.now(UTC) >= end
    await settled(partial(robot.get, "/v1/sources"), 401)
    refused_anyhow(await owner.rest.post(f"{KEYS}/{made['id']}/rotate", {}))


async def test_a_successor_works_beside_the_old_one_for_a_while(town: Town, owner: Person) -> None:
    made = await key(owner.rest, "sources:read", "events:read")
    began = monotonic()

    newer = await rotate(owner, made, overlap_s=4)

    old, new = town.bearer(made["key"]), town.bearer(newer["key"])
    assert newer["key"] != made["key"]
    assert sorted(newer["permissions"]) == sorted(made["permissions"])
    await settled(partial(new.get, "/v1/sources"), 200)
    if monotonic() - began < 3.5:
        ok(await old.get("/v1/sources"))

    async def has_ended() -> bool:
        return (await old.get("/v1/sources")).status_code == 401

    await until(has_ended, "the end of the overlap", within=8)
    assert monotonic() - began >= 3.9
    await settled(partial(old.get, "/v1/sources"), 401)
    await settled(partial(new.get, "/v1/sources"), 200)


async def test_without_an_overlap_the_old_one_stops(town: Town, owner: Person) -> None:
    made = await key(owner.rest, "sources:read")

    newer = await rotate(owner, made, overlap_s=0)

    await settled(partial(town.bearer(made["key"]).get, "/v1/sources"), 401)
    ok(await town.bearer(newer["key"]).get("/v1/sources"))


async def test_a_successor_ends_when_its_forerunner_was_to_end(town: Town, owner: Person) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    made = await key(owner.rest, "sources:read", expires_at=end.isoformat())

    newer = await rotate(owner, made)

    assert newer["expires_at"] is not None, "A rotation makes no key that never ends."


async def test_a_key_is_replaced_once_at_a_time(town: Town, owner: Person) -> None:
    made = await key(owner.rest, "sources:read")

    replies = await asyncio.gather(
        *(owner.rest.post(f"{KEYS}/{made['id']}/rotate", {"overlap_s": 60}) for _ in range(8))
    )

    newer = [reply.json()["key"] for reply in replies if reply.status_code == 201]
    assert len(newer) == 1, [told(reply) for reply in replies]
    for reply in replies:
        if reply.status_code != 201:
            refused(reply, 409, "conflict")


@pytest.mark.parametrize("overlap", [-1, 10**12, "1", 1.5, None])
async def test_an_overlap_that_makes_no_sense_is_refused(owner: Person, overlap: Any) -> None:
    made = await key(owner.rest, "sources:read")

    body = {"overlap_s": overlap}
    invalid(await owner.rest.post(f"{KEYS}/{made['id']}/rotate", body), "/overlap_s")

    assert ok(await owner.rest.get(f"{KEYS}/{made['id']}"))["revoked_at"] is None


async def test_what_is_revoked_is_not_brought_back_by_rotation(town: Town, owner: Person) -> None:
    made = await key(owner.rest, "sources:read")
    newer = await rotate(owner, made, overlap_s=600)
    for each in (made, newer):
        assert (await owner.rest.delete(f"{KEYS}/{each['id']}")).status_code == 204
        await settled(partial(town.bearer(each["key"]).get, "/v1/sources"), 401)

        refused_anyhow(await owner.rest.post(f"{KEYS}/{each['id']}/rotate", {}))


async def test_anothers_key_is_not_there(town: Town, owner: Person) -> None:
    other = await town.founder()
    made = await key(owner.rest, "sources:read")

    for method, path in (
        ("GET", f"{KEYS}/{made['id']}"),
        ("DELETE", f"{KEYS}/{made['id']}"),
        ("POST", f"{KEYS}/{made['id']}/rotate"),
    ):
        body: Any = {} if method == "POST" else None
        refused(await other.rest.call(method, path, body), 404, "not-found")

    ok(await town.bearer(made["key"]).get("/v1/sources"))


async def test_use_is_noted_coarsely(town: Town, owner: Person) -> None:
    made = await key(owner.rest, "sources:read")
    robot = town.bearer(made["key"])

    async def used() -> Any:
        ok(await robot.get("/v1/sources"))
        return ok(await owner.rest.get(f"{KEYS}/{made['id']}"))["last_used_at"]

    first = await until(used, "a note of the use", within=10)
    seen = {first} | {await used() for _ in range(5)}
    assert len(seen) == 1, "Not a write for each request."


async def test_a_key_is_never_more_than_whoever_made_it(town: Town, owner: Person) -> None:
    maker = await town.colleague(owner, "developer")
    parent = await key(maker.rest, "sources:read", "sources:write", "api-keys:write")
    child = await key(town.bearer(parent["key"]), "sources:read", "sources:write")
    robots = [town.bearer(made["key"]) for made in (parent, child)]
    wish = {"name": "robot's", "scheme": "none", "secrets": []}
    user = f"/v1/users/{maker.id}"
    for robot in robots:
        await source(robot)

    ok(await owner.rest.patch(user, {"roles": ["viewer"]}))
    for robot in robots:
        await settled(partial(robot.post, "/v1/sources", wish), 403)
        ok(await robot.get("/v1/sources"))
    ok(await owner.rest.patch(user, {"state": "disabled"}))
    for robot in robots:
        await settled(partial(robot.get, "/v1/sources"), 401)
    ok(await owner.rest.patch(user, {"state": "active", "roles": ["developer"]}))
    for robot in robots:
        await settled(partial(robot.get, "/v1/sources"), 200)
        await source(robot)
    assert (await owner.rest.delete(user)).status_code == 204
    for robot in robots:
        await settled(partial(robot.get, "/v1/sources"), 401)
