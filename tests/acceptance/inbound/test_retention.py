"""Retention: what is told of it, and that nothing else can be done with it over REST."""

from typing import Final

from tests.acceptance.house import House
from tests.acceptance.inbound.answers import refused

PATH: Final = "/v1/retention"


async def test_what_is_kept_is_told(house: House) -> None:
    told = await house.rest.get(PATH)
    gone = await house.rest.get(f"{PATH}/drops")

    assert told["days"] >= 1
    assert gone == {"items": [], "next_cursor": None}, "Nothing is old enough to have gone."


async def test_its_pages_are_pages(house: House) -> None:
    for query in ("limit=0", "limit=201", "cursor=x", "days=3"):
        refused(await house.rest.call("GET", f"{PATH}/drops?{query}"), {400, 422})


async def test_retention_is_for_those_who_may_see_it(house: House) -> None:
    for path in (PATH, f"{PATH}/drops"):
        refused(await house.anyone.call("GET", path), 401)
        for method in ("POST", "PATCH", "DELETE"):
            refused(await house.rest.call(method, path, {}), {404, 405, 415})
