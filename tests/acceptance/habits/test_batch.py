"""A request about many things is answered for each of them."""

import asyncio
from typing import Any, Final

import pytest

from crossdock.samples.sender import new_serial
from tests.acceptance.habits.home import REPLAYED, key_header, named
from tests.acceptance.house import House
from tests.faults.receiver import Receiver
from tests.faults.waiting import until

REPLAY: Final = "/v1/deliveries/replay"
NOBODYS: Final = "dlv_01h455vb4pex5vsknk084sn02q"


@pytest.fixture(scope="module")
async def dead(house: House) -> list[str]:
    """Deliveries that failed for good, for one test each to take from."""
    door = await house.door("github")
    path = f"/{new_serial()}"
    house.receiver.answer(path, lambda _event, _earlier: 500)
    await house.destination(path, retry={"count": 0})
    events = [await door.accepted() for _ in range(4)]
    found = await asyncio.gather(*(house.settled(event, "dead") for event in events))
    return [delivery["id"] for delivery in found]


async def replay(house: House, ids: list[Any], **headers: str) -> Any:
    """Ask for these again; return what is said of each."""
    reply = await house.rest.call("POST", REPLAY, {"ids": ids}, headers=headers)
    assert reply.status in {200, 207}, reply
    return reply.json()["items"]


async def test_each_is_answered_for_by_itself(house: House, dead: list[str]) -> None:
    asked = [NOBODYS, dead[0], NOBODYS[:-1] + "r"]

    items = await replay(house, asked)

    assert [item["index"] for item in items] == [0, 1, 2]
    assert [item["id"] for item in items] == asked
    assert [item["status"] for item in items] == [404, 201, 404]
    for item in (items[0], items[2]):
        assert item["problem"]["type"] == "/problems/not-found"
        assert item["problem"]["status"] == 404
        assert "delivery" not in item or item["delivery"] is None
    assert items[1]["delivery"]["id"] not in asked
    assert items[1].get("problem") is None


async def test_the_same_twice_is_refused_before_anything_happens(
    house: House, dead: list[str]
) -> None:
    reply = await house.rest.call("POST", REPLAY, {"ids": [dead[1], dead[1]]})

    assert reply.status == 422, reply
    assert [error["pointer"] for error in reply.json()["errors"]] == ["/ids/1"]
    assert (await house.rest.get(f"/v1/deliveries/{dead[1]}"))["state"] == "dead"


async def test_many_are_repeated_as_one(house: House, dead: list[str]) -> None:
    body, key = {"ids": [dead[2], NOBODYS]}, key_header()
    first = await house.rest.call("POST", REPLAY, body, headers=key)
    again = await house.rest.call("POST", REPLAY, body, headers=key)

    assert first.status == again.status
    assert again.headers[REPLAYED] == "true"
    assert again.body == first.body


async def test_another_tenants_are_not_there(
    house: House, dead: list[str], receiver: Receiver
) -> None:
    stranger = await house.stack.tenant(named("stranger"))
    async with house.stack.rest(stranger.key) as rest:
        reply = await rest.call("POST", REPLAY, {"ids": [dead[3], NOBODYS]})

    items = reply.ok()["items"]
    assert [item["status"] for item in items] == [404, 404]
    theirs, nobodys = (item["problem"]["detail"] for item in items)
    assert theirs == nobodys

    async def is_dead_still() -> bool:
        return bool((await house.rest.get(f"/v1/deliveries/{dead[3]}"))["state"] == "dead")

    await until(is_dead_still, "what nobody replayed")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/ids"),
        ({"ids": []}, "/ids"),
        ({"ids": [NOBODYS] * 101}, "/ids"),
        ({"ids": [NOBODYS, "x"]}, "/ids/1"),
        ({"ids": [NOBODYS, 7]}, "/ids/1"),
        ({"ids": NOBODYS}, "/ids"),
        ({"ids": [NOBODYS], "nonsense": 1}, "/nonsense"),
    ],
)
async def test_what_is_no_list_of_ids_is_pointed_at(
    house: House, body: dict[str, Any], pointer: str
) -> None:
    reply = await house.rest.call("POST", REPLAY, body)

    assert reply.status == 422, reply
    assert [error["pointer"] for error in reply.json()["errors"]] == [pointer]
