"""A request with an idempotency key may be sent again: it has its effect once."""

from typing import Any

import pytest

from tests.acceptance.habits.home import (
    REPLAYED,
    Home,
    destination_wish,
    key_header,
    named,
    source_wish,
)
from tests.acceptance.habits.telling import problem
from tests.acceptance.identity.people import Caller
from tests.acceptance.identity.problems import ok, told

SOURCES = "/v1/sources"


async def found(caller: Caller, name: str, path: str = SOURCES) -> list[Any]:
    """Return what has that name."""
    return [item for item in await caller.all(path) if item["name"] == name]


async def test_the_second_answer_is_the_first_one_again(home: Home) -> None:
    wish, key = source_wish(), key_header()

    first = await home.rest.call("POST", SOURCES, wish, headers=key)
    again = await home.rest.call("POST", SOURCES, wish, headers=key)

    ok(first, 201)
    assert REPLAYED not in first.headers
    assert again.status_code == 201, told(again)
    assert again.headers[REPLAYED] == "true"
    assert again.content == first.content
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name], name
    assert len(await found(home.rest, wish["name"])) == 1


async def test_without_a_key_each_request_is_a_new_one(home: Home) -> None:
    wish = destination_wish()

    first = await home.rest.post("/v1/destinations", wish)
    again = await home.rest.post("/v1/destinations", wish | {"name": named("other")})

    assert ok(first, 201)["id"] != ok(again, 201)["id"]
    assert REPLAYED not in again.headers


async def test_quotes_around_a_key_are_not_part_of_it(home: Home) -> None:
    wish, key = source_wish(), named("try")

    quoted = await home.rest.call("POST", SOURCES, wish, headers={"idempotency-key": f'"{key}"'})
    bare = await home.rest.call("POST", SOURCES, wish, headers={"idempotency-key": key})

    assert ok(quoted, 201) == ok(bare, 201)
    assert bare.headers[REPLAYED] == "true"


async def test_a_key_may_have_255_characters_and_any_that_can_be_seen(home: Home) -> None:
    for key in ("k" * 255, named("x") + "!#$%&'()*+-./:<=>?@[]^_`{|}~"):
        wish = source_wish()
        headers = {"idempotency-key": f'"{key}"'}
        ok(await home.rest.call("POST", SOURCES, wish, headers=headers), 201)
        again = await home.rest.call("POST", SOURCES, wish, headers=headers)
        assert again.headers[REPLAYED] == "true", key


ODD_KEYS = {
    "nothing": '""',
    "too much": '"' + "k" * 256 + '"',
    "too much without quotes": "k" * 256,
    "a space": "one two",
    "no end": '"one',
    "a tab": '"one\ttwo"',
    "no ASCII": b'"\xc3\xa9"',
    "two of them": '"one", "two"',
}


@pytest.mark.parametrize("name", ODD_KEYS)
async def test_a_key_that_is_none_is_refused_and_nothing_happens(home: Home, name: str) -> None:
    wish, key = source_wish(), ODD_KEYS[name]
    headers: Any = {"idempotency-key": key}

    reply = await home.rest.call("POST", SOURCES, wish, headers=headers)

    problem(reply, 400)
    assert await found(home.rest, wish["name"]) == []


async def test_two_key_headers_are_none(home: Home) -> None:
    wish = source_wish()
    headers = [*home.rest.headers.items(), ("idempotency-key", '"a"'), ("idempotency-key", '"b"')]

    reply = await home.town.http.post(home.town.url + SOURCES, json=wish, headers=headers)

    problem(reply, 400)
    assert await found(home.rest, wish["name"]) == []


async def test_keys_that_differ_in_case_differ(home: Home) -> None:
    key = named("try")

    one = await home.rest.call("POST", SOURCES, source_wish(), headers=key_header(key))
    other = await home.rest.call("POST", SOURCES, source_wish(), headers=key_header(key.upper()))

    assert ok(one, 201)["id"] != ok(other, 201)["id"]


async def test_another_body_under_the_same_key_is_refused(home: Home) -> None:
    wish, other, key = source_wish(), source_wish(), key_header()
    ok(await home.rest.call("POST", SOURCES, wish, headers=key), 201)

    reply = await home.rest.call("POST", SOURCES, other, headers=key)

    problem(reply, 422, "idempotency-key-reused")
    assert await found(home.rest, other["name"]) == []


async def test_the_same_json_in_other_bytes_is_another_body(home: Home) -> None:
    name, key = named("source"), key_header() | {"content-type": "application/json"}
    ok(
        await home.rest.call(
            "POST", SOURCES, raw=b'{"name":"%s","scheme":"none"}' % name.encode(), headers=key
        ),
        201,
    )

    reply = await home.rest.call(
        "POST", SOURCES, raw=b'{"name": "%s", "scheme": "none"}' % name.encode(), headers=key
    )

    problem(reply, 422, "idempotency-key-reused")


async def test_another_route_or_method_under_the_same_key_is_refused(home: Home) -> None:
    one, two = ok(await home.source())["id"], ok(await home.source())["id"]
    key = key_header()
    ok(await home.rest.call("POST", f"{SOURCES}/{one}/pause", headers=key), 200)

    for method, path in (
        ("POST", f"{SOURCES}/{two}/pause"),
        ("POST", f"{SOURCES}/{one}/resume"),
        ("DELETE", f"{SOURCES}/{one}"),
    ):
        reply = await home.rest.call(method, path, headers=key)
        problem(reply, 422, "idempotency-key-reused")

    assert ok(await home.rest.get(f"{SOURCES}/{one}"))["state"] == "paused"
    assert ok(await home.rest.get(f"{SOURCES}/{two}"))["state"] == "active"


async def test_a_change_is_not_made_again_over_a_later_one(home: Home) -> None:
    path, key = (await home.source()).headers["location"], key_header()
    early, late = {"name": named("early")}, {"name": named("late")}
    first = await home.rest.call("PATCH", path, early, headers=key)
    ok(await home.rest.patch(path, late), 200)

    again = await home.rest.call("PATCH", path, early, headers=key)

    assert again.content == first.content
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers[REPLAYED] == "true"
    assert ok(await home.rest.get(path))["name"] == late["name"]


async def test_a_removal_is_answered_again_though_nothing_is_there_any_more(home: Home) -> None:
    path, key = (await home.source()).headers["location"], key_header()
    assert (await home.rest.call("DELETE", path, headers=key)).status_code == 204

    again = await home.rest.call("DELETE", path, headers=key)

    assert (again.status_code, again.content) == (204, b"")
    assert again.headers[REPLAYED] == "true"
    problem(await home.rest.delete(path), 404)


async def test_a_404_is_answered_again(home: Home) -> None:
    path = (await home.source()).headers["location"]
    assert (await home.rest.delete(path)).status_code == 204
    key = key_header()
    first = await home.rest.call("POST", f"{path}/pause", headers=key)

    again = await home.rest.call("POST", f"{path}/pause", headers=key)

    problem(first, 404, "not-found")
    problem(again, 404, "not-found")
    assert again.headers[REPLAYED] == "true"


async def test_a_conflict_is_not_kept(home: Home) -> None:
    taken = await home.source()
    wish, key = source_wish(name=ok(taken)["name"]), key_header()
    problem(await home.rest.call("POST", SOURCES, wish, headers=key), 409, "conflict")
    ok(await home.rest.patch(taken.headers["location"], {"name": named("moved")}), 200)

    again = await home.rest.call("POST", SOURCES, wish, headers=key)

    ok(again, 201)
    assert REPLAYED not in again.headers


async def test_a_failed_precondition_is_not_kept(home: Home) -> None:
    made = await home.source()
    path, wish = made.headers["location"], {"name": named("renamed")}
    changed = await home.rest.patch(path, {"name": named("between")})
    stale = key_header() | {"if-match": made.headers["etag"]}
    problem(await home.rest.call("PATCH", path, wish, headers=stale), 412)

    fresh = stale | {"if-match": changed.headers["etag"]}
    again = await home.rest.call("PATCH", path, wish, headers=fresh)

    ok(again, 200)
    assert REPLAYED not in again.headers


async def test_if_match_is_part_of_the_request(home: Home) -> None:
    made = await home.source()
    path, key, wish = made.headers["location"], key_header(), {"name": named("renamed")}
    tagged = key | {"if-match": made.headers["etag"]}
    ok(await home.rest.call("PATCH", path, wish, headers=tagged), 200)

    untagged = await home.rest.call("PATCH", path, wish, headers=key)
    again = await home.rest.call("PATCH", path, wish, headers=tagged)

    problem(untagged, 422, "idempotency-key-reused")
    assert again.headers[REPLAYED] == "true"


async def test_what_was_refused_before_it_began_may_be_mended(home: Home) -> None:
    key = key_header()
    problem(await home.rest.call("POST", SOURCES, {"nonsense": 1}, headers=key), 422, "invalid")

    again = await home.rest.call("POST", SOURCES, {"nonsense": 1}, headers=key)

    problem(again, 422, "invalid")


async def test_a_read_takes_no_notice_of_a_key(home: Home) -> None:
    path, key = (await home.source()).headers["location"], key_header()
    ok(await home.rest.call("GET", path, headers=key), 200)
    ok(await home.rest.patch(path, {"name": named("renamed")}), 200)

    again = await home.rest.call("GET", path, headers=key)

    assert REPLAYED not in again.headers
    assert ok(again, 200) == ok(await home.rest.get(path), 200)


async def test_a_replay_of_deliveries_wants_a_key(home: Home) -> None:
    wish = {"reason": "no_such_reason"}
    without = await home.rest.post("/v1/replays", wish)
    problem(without, 400, "idempotency-key-missing")

    key = key_header()
    first = await home.rest.call("POST", "/v1/replays", wish, headers=key)
    again = await home.rest.call("POST", "/v1/replays", wish, headers=key)

    assert ok(first, 201) == ok(again, 201)
    assert again.headers[REPLAYED] == "true"


async def test_a_repeated_answer_has_limits_of_its_own(home: Home) -> None:
    wish, key = source_wish(), key_header()
    await home.rest.call("POST", SOURCES, wish, headers=key)

    again = await home.rest.call("POST", SOURCES, wish, headers=key)

    assert again.headers[REPLAYED] == "true"
    for name in ("ratelimit", "ratelimit-policy", "cache-control", "x-content-type-options"):
        assert len(again.headers.get_list(name)) == 1, name
