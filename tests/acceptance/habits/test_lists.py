"""Every list has the same habits: newest first, in pages, by filters that are written down."""

from typing import Any, Final

import pytest

from tests.acceptance.habits.home import Home, destination_wish, key_header, named, open_home
from tests.acceptance.habits.telling import pointers, problem
from tests.acceptance.identity.people import Caller, Person, Town
from tests.acceptance.identity.problems import ok, told

PERSONS: Final = {"/v1/auth/sessions"}
"""Lists that only a person has."""
OPERATORS: Final = {"/v1/admin/shards", "/v1/admin/tenants"}
LISTS: Final = (
    "/v1/alerts",
    "/v1/api-keys",
    "/v1/audit",
    "/v1/dead-letters",
    "/v1/deliveries",
    "/v1/destinations",
    "/v1/event-types",
    "/v1/events",
    "/v1/invitations",
    "/v1/replays",
    "/v1/retention/drops",
    "/v1/roles",
    "/v1/source-presets",
    "/v1/sources",
    "/v1/support-accesses",
    "/v1/users",
    *sorted(PERSONS),
    *sorted(OPERATORS),
)
DESTINATIONS: Final = "/v1/destinations"


@pytest.fixture
def who(home: Home, founder: Person, admin: Person) -> dict[str, Caller]:
    """Who may see each list."""
    callers = dict.fromkeys(LISTS, home.rest)
    callers |= dict.fromkeys(PERSONS, founder.rest)
    return callers | dict.fromkeys(OPERATORS, admin.rest)


async def test_these_are_all_the_lists_that_the_document_has(home: Home) -> None:
    document: Any = ok(await home.rest.get("/schema/openapi.json"))

    found = {
        path
        for path, item in document["paths"].items()
        if "{" not in path and item.get("get", {}).get("operationId", "").startswith("list_")
    }

    assert found == set(LISTS)


@pytest.mark.parametrize("path", LISTS)
async def test_a_page_has_items_and_a_cursor(who: dict[str, Caller], path: str) -> None:
    for query in ("", "?limit=1", "?limit=200"):
        page = ok(await who[path].get(path + query), 200)
        assert set(page) == {"items", "next_cursor"}
        assert len(page["items"]) <= 200


@pytest.mark.parametrize("path", LISTS)
async def test_a_page_has_from_1_to_200_items(who: dict[str, Caller], path: str) -> None:
    for odd in ("0", "201", "-1", "x", "٣", "+1", " 1", "99999999999999999999"):
        reply = await who[path].call("GET", f"{path}?limit={odd.replace('+', '%2B')}")
        assert pointers(reply) == ["?limit"], (odd, told(reply))


@pytest.mark.parametrize("path", LISTS)
async def test_no_list_takes_what_it_does_not_know(who: dict[str, Caller], path: str) -> None:
    for query in ("sort=name", "offset=10", "page=2", "tenant_id=x", "q="):
        reply = await who[path].get(f"{path}?{query}")
        assert pointers(reply) == ["?" + query.partition("=")[0]]


@pytest.mark.parametrize("path", LISTS)
async def test_a_cursor_that_nobody_gave_is_refused(who: dict[str, Caller], path: str) -> None:
    for odd in ("x", "AAAA", "a" * 2000, "%00", "..%2F", "=" * 8, "%F0%9F%92%A9"):
        reply = await who[path].get(f"{path}?cursor={odd}")
        assert pointers(reply) == ["?cursor"], odd


@pytest.mark.parametrize("path", LISTS)
async def test_the_newest_is_first(who: dict[str, Caller], path: str) -> None:
    items = ok(await who[path].get(f"{path}?limit=200"))["items"]

    moments = [item["created_at"] for item in items if item.get("created_at")]
    assert moments == sorted(moments, reverse=True)


async def cursor_of(caller: Caller, path: str) -> str:
    """Return where a list's second page begins."""
    joint = "&" if "?" in path else "?"
    cursor: str = ok(await caller.get(f"{path}{joint}limit=1"))["next_cursor"]
    assert cursor
    return cursor


@pytest.fixture(scope="module")
async def village(town: Town, admin: Person) -> Home:
    """A tenant that has seven destinations and changes no more."""
    home = await open_home(town, admin, "village")
    for _ in range(7):
        ok(await home.rest.post(DESTINATIONS, destination_wish()), 201)
    return home


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_hold_everything_once(village: Home, limit: int) -> None:
    whole = [item["id"] for item in await village.rest.all(DESTINATIONS)]

    seen, cursor = [], ""
    for _ in range(10):
        page = ok(await village.rest.get(f"{DESTINATIONS}?limit={limit}{cursor}"))
        seen += [item["id"] for item in page["items"]]
        assert len(page["items"]) <= limit
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert seen == whole
    assert len(whole) == 7


async def test_what_comes_and_goes_between_pages_moves_nothing(town: Town, admin: Person) -> None:
    home = await open_home(town, admin, "moving")
    made = [ok(await home.rest.post(DESTINATIONS, destination_wish()))["id"] for _ in range(6)]
    old = made[::-1]
    first = ok(await home.rest.get(f"{DESTINATIONS}?limit=3"))
    ok(await home.rest.post(DESTINATIONS, destination_wish()), 201)
    # The last one of the first page is what the cursor stands at.
    assert (await home.rest.delete(f"{DESTINATIONS}/{old[2]}")).status_code == 204

    rest = ok(await home.rest.get(f"{DESTINATIONS}?limit=200&cursor={first['next_cursor']}"))

    assert [item["id"] for item in first["items"]] == old[:3]
    assert [item["id"] for item in rest["items"]] == old[3:]


async def test_a_cursor_is_of_one_list(village: Home) -> None:
    cursor = await cursor_of(village.rest, DESTINATIONS)

    for path in ("/v1/sources", "/v1/api-keys", "/v1/deliveries"):
        assert pointers(await village.rest.get(f"{path}?cursor={cursor}")) == ["?cursor"]


async def test_a_cursor_is_of_one_tenant(village: Home, home: Home) -> None:
    cursor = await cursor_of(village.rest, DESTINATIONS)

    reply = await home.rest.get(f"{DESTINATIONS}?cursor={cursor}")

    assert pointers(reply) == ["?cursor"]


async def test_a_cursor_is_of_its_filters(home: Home) -> None:
    for _ in range(2):
        reply = await home.rest.call("POST", "/v1/replays", {}, headers=key_header())
        ok(reply, 201)
        ok(await home.rest.post("/v1/sources", {"name": named("audited"), "scheme": "none"}), 201)
    plain = await cursor_of(home.rest, "/v1/audit")

    reply = await home.rest.get(f"/v1/audit?cursor={plain}&action=source.create")

    assert pointers(reply) == ["?cursor"]


async def test_a_cursor_that_was_changed_is_refused(village: Home) -> None:
    cursor = await cursor_of(village.rest, DESTINATIONS)
    spoilt = [
        cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        for place in range(len(cursor) - 1)
    ]

    for odd in [*spoilt[:: max(1, len(spoilt) // 12)], cursor + "A", cursor[:-2], cursor * 2]:
        reply = await village.rest.get(f"{DESTINATIONS}?cursor={odd}")
        assert pointers(reply) == ["?cursor"], odd


async def test_a_cursor_does_not_depend_on_the_size_of_a_page(village: Home) -> None:
    cursor = await cursor_of(village.rest, DESTINATIONS)

    page = ok(await village.rest.get(f"{DESTINATIONS}?limit=200&cursor={cursor}"), 200)

    assert len(page["items"]) == 6


async def test_a_list_inside_of_nothing_is_not_there(home: Home, neighbour: Home) -> None:
    theirs = [item["id"] for item in await neighbour.rest.all("/v1/sources")]
    for path in ("/v1/events/evt_01h455vb4pex5vsknk084sn02q/deliveries", "/v1/users/x/sessions"):
        problem(await home.rest.get(path), 404, "not-found")
    assert not set(theirs) & {item["id"] for item in await home.rest.all("/v1/sources")}
