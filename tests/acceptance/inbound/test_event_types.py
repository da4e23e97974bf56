"""Event types over REST: names, versions, compatibility, checks."""

from typing import Any

import pytest

from tests.acceptance.house import House
from tests.acceptance.inbound.answers import invalid, pointers, refused
from tests.acceptance.inbound.feed import Feed
from tests.acceptance.inbound.registry import ORDER, TYPES, new_name, propose, register

LOOSER: dict[str, Any] = {
    "type": "object",
    "properties": {"data": {"type": "object", "properties": {"total": {"type": "integer"}}}},
}
STRICTER: dict[str, Any] = ORDER | {"required": ["data", "currency"]}
OTHER: dict[str, Any] = {"type": "array"}


async def patch(house: House, made: Any, **change: Any) -> Any:
    return await house.rest.call("PATCH", f"{TYPES}/{made['id']}", change)


async def versions(house: House, made: Any) -> list[Any]:
    return await house.rest.all(f"{TYPES}/{made['id']}/versions")


async def test_a_type_is_made_read_listed_and_removed(house: House) -> None:
    name = new_name()

    reply = await propose(house, name=name, mode="warn", description="An order.")

    assert reply.status == 201, reply
    made = reply.json()
    path = f"{TYPES}/{made['id']}"
    assert reply.headers["location"].endswith(path)
    read = await house.rest.call("GET", path)
    told = read.ok()
    assert read.headers["etag"]
    assert (told["name"], told["mode"], told["description"]) == (name, "warn", "An order.")
    assert told["compatibility"] == "backward"
    assert told["schema"] == ORDER
    assert name in {item["name"] for item in await house.rest.all(TYPES)}
    assert (await house.rest.call("DELETE", path)).status == 204
    refused(await house.rest.call("GET", path), 404, "not-found")
    assert name not in {item["name"] for item in await house.rest.all(TYPES)}


async def test_a_name_is_taken_once(house: House, neighbour: House) -> None:
    made = await register(house)

    refused(await propose(house, name=made["name"]), 409, "conflict")

    assert (await propose(neighbour, name=made["name"])).status == 201


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a b", "a\tb", "a\r\nb", "*", "orders.*", "orders.>", ">", "é", "\x00", "a\x7f"),
        *("x" * 129, "\ud7ff", "a\u2028b"),
    ],
)
async def test_a_name_that_is_none_is_refused(house: House, name: str) -> None:
    invalid(await propose(house, name=name), "/name")


@pytest.mark.parametrize(
    "name", ["zen:event-type:ticket.created", "orders/create", "a..b", "x" * 128, "$SYS", "'--"]
)
async def test_a_name_that_providers_use_is_taken(house: House, name: str) -> None:
    reply = await propose(house, name=name)

    assert reply.status == 201, reply
    assert (await house.rest.call("DELETE", f"{TYPES}/{reply.json()['id']}")).status == 204


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"mode": "sometimes"}, "/mode"),
        ({"compatibility": "maybe"}, "/compatibility"),
        ({"version": 7}, "/version"),
        ({"description": 7}, "/description"),
        ({"tenant_id": "ten_00000000000000000000000000"}, "/tenant_id"),
    ],
)
async def test_what_a_type_does_not_have_is_refused(
    house: House, change: dict[str, Any], pointer: str
) -> None:
    invalid(await propose(house, **change), "" if pointer.endswith("_id") else "/")
    made = await register(house)
    assert (await patch(house, made, **change)).status == 422


async def test_each_change_of_the_schema_is_a_version(house: House) -> None:
    made = await register(house)

    assert (await patch(house, made, schema=LOOSER)).status == 200
    assert (await patch(house, made, mode="warn")).status == 200
    assert (await patch(house, made, schema=LOOSER)).status == 200

    told = await versions(house, made)
    assert [item["number"] for item in told] == [2, 1]
    first = await house.rest.get(f"{TYPES}/{made['id']}/versions/1")
    assert first["schema"] == ORDER
    assert (await house.rest.get(f"{TYPES}/{made['id']}"))["schema"] == LOOSER
    for number in ("0", "3", "99999999999999999999", "-1", "x"):
        reply = await house.rest.call("GET", f"{TYPES}/{made['id']}/versions/{number}")
        refused(reply, {404, 422})


@pytest.mark.parametrize("schema", [STRICTER, OTHER, False])
async def test_an_incompatible_change_is_refused_unless_forced(house: House, schema: Any) -> None:
    made = await register(house)

    told = refused(await patch(house, made, schema=schema), 409, "schema-incompatible")

    assert told.get("errors") or told["detail"]
    assert (await house.rest.get(f"{TYPES}/{made['id']}"))["schema"] == ORDER
    forced = await patch(house, made, schema=schema, force=True)
    assert forced.status == 200, forced
    assert len(await versions(house, made)) == 2


async def test_compatibility_is_what_the_type_says(house: House) -> None:
    none = await register(house, compatibility="none")
    full = await register(house, compatibility="full", schema=LOOSER)

    assert (await patch(house, none, schema=OTHER)).status == 200
    # Backward only: what the old schema took, the new one takes; not the other way round.
    wider = {"type": "object", "properties": {"data": {"type": ["object", "null"]}}}
    refused(await patch(house, full, schema=wider), 409, "schema-incompatible")
    assert (await patch(house, full, compatibility="backward", schema=wider)).status == 200


async def test_what_is_forced_is_said_nowhere_else(house: House) -> None:
    reply = await propose(house, force=True)

    assert reply.status == 422, "There is nothing to force where nothing was before."


async def test_a_change_can_be_tried_without_being_made(house: House, feed: Feed) -> None:
    made = await register(house, "warn")
    for total in (1, 2, 3):
        await feed.arrived(await feed.send(made["name"], total=total))

    told = await house.rest.post(f"{TYPES}/{made['id']}/check", {"schema": STRICTER})

    assert told["compatible"] is False
    assert told["differences"]
    assert (told["stored"]["looked_at"], told["stored"]["failing"]) == (3, 3)
    assert len(await versions(house, made)) == 1
    told = await house.rest.post(f"{TYPES}/{made['id']}/check", {"schema": LOOSER})
    assert told["compatible"] is True
    assert (told["stored"]["looked_at"], told["stored"]["failing"]) == (3, 0)


async def test_a_payload_can_be_tried(house: House) -> None:
    made = await register(house)
    path = f"{TYPES}/{made['id']}/validate"

    good = await house.rest.post(path, {"payload": {"data": {"total": 1}}})
    bad = await house.rest.post(path, {"payload": {"data": {"total": -1}}})

    assert good["valid"] is True
    assert bad["valid"] is False
    assert pointers(bad["violations"]) == {"/data/total"}


async def test_an_edit_minds_whom_it_overtakes(house: House) -> None:
    made = await register(house)
    path = f"{TYPES}/{made['id']}"
    tag = (await house.rest.call("GET", path)).headers["etag"]

    first = await house.rest.call("PATCH", path, {"mode": "warn"}, headers={"if-match": tag})
    late = await house.rest.call("PATCH", path, {"mode": "off"}, headers={"if-match": tag})
    gone = await house.rest.call("DELETE", path, headers={"if-match": tag})

    assert first.status == 200
    assert first.headers["etag"] != tag
    refused(late, 412)
    refused(gone, 412)
    assert (await house.rest.get(path))["mode"] == "warn"
    cached = await house.rest.call("GET", path, headers={"if-none-match": first.headers["etag"]})
    assert cached.status == 304


async def test_another_tenants_type_is_not_there(house: House, neighbour: House) -> None:
    made = await register(neighbour)
    path = f"{TYPES}/{made['id']}"

    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"mode": "off"}),
        ("DELETE", path, None),
        ("GET", f"{path}/versions", None),
        ("GET", f"{path}/versions/1", None),
        ("POST", f"{path}/check", {"schema": ORDER}),
        ("POST", f"{path}/validate", {"payload": {}}),
    ):
        refused(await house.rest.call(method, where, body), 404, "not-found")
    assert (await neighbour.rest.get(path))["mode"] == "reject"


async def test_the_list_goes_by_pages(house: House) -> None:
    made = [(await register(house))["id"] for _ in range(3)]

    page = await house.rest.get(f"{TYPES}?limit=2")

    assert [item["id"] for item in page["items"]] == made[:0:-1]
    cursor = page["next_cursor"]
    more = await house.rest.get(f"{TYPES}?limit=2&cursor={cursor}")
    assert more["items"][0]["id"] == made[0]
    refused(await house.rest.call("GET", f"{TYPES}?cursor=x"), {400, 422})
    refused(await house.rest.call("GET", f"{TYPES}?colour=red"), {400, 422})
