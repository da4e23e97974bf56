"""Whatever can be edited can be edited safely: tags, preconditions, and patches that merge."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.acceptance.habits.home import (
    Home,
    at_once,
    destination_wish,
    named,
    open_home,
    source_wish,
    statuses,
)
from tests.acceptance.habits.telling import pointers, problem
from tests.acceptance.identity.people import Caller, Person, Town, email
from tests.acceptance.identity.problems import ok, told

EDITABLE: Final = ("source", "destination", "role", "user", "tenant")
REMOVABLE: Final = ("source", "destination", "role", "user")
TAGGED: Final = (*EDITABLE, "key")


class Thing(NamedTuple):
    """Something that a tenant has."""

    rest: Caller
    path: str
    one: dict[str, Any]
    """A change of it."""
    other: dict[str, Any]


@pytest.fixture(scope="module")
async def edited(town: Town, admin: Person) -> Home:
    """A tenant that is edited itself; each test takes it as it is."""
    return await open_home(town, admin, "edited")


@pytest.fixture
def make(home: Home, town: Town, edited: Home) -> Callable[[str], Any]:
    """Makes something new of that kind."""

    async def a(kind: str) -> Thing:
        names = {"name": named("one")}, {"name": named("other")}
        match kind:
            case "source":
                return Thing(home.rest, (await home.source()).headers["location"], *names)
            case "destination":
                made = await home.rest.post("/v1/destinations", destination_wish())
                return Thing(home.rest, f"/v1/destinations/{ok(made, 201)['id']}", *names)
            case "role":
                made = await home.rest.post("/v1/roles", {"name": named("role")})
                texts = {"description": "one"}, {"description": "other"}
                return Thing(home.rest, f"/v1/roles/{ok(made, 201)['id']}", *texts)
            case "user":
                address = email("edited")
                wish = {"email": address, "roles": ["viewer"]}
                ok(await home.rest.post("/v1/invitations", wish), 201)
                colleague = await town.accept(address)
                return Thing(home.rest, f"/v1/users/{colleague.id}", *names)
            case "key":
                body = {"name": named("key"), "permissions": ["sources:read"]}
                made = await home.rest.post("/v1/api-keys", body)
                return Thing(home.rest, f"/v1/api-keys/{ok(made, 201)['id']}", *names)
            case _:
                return Thing(edited.rest, "/v1/tenant", *names)

    return a


Make = Callable[[str], Awaitable[Thing]]


async def change(thing: Thing, body: Any, tag: str | None = None) -> httpx.Response:
    """Patch it, if it is still as it was under that tag."""
    headers = {} if tag is None else {"if-match": tag}
    return await thing.rest.call("PATCH", thing.path, body, headers=headers)


@pytest.mark.parametrize("kind", TAGGED)
async def test_it_has_a_tag_that_stays_while_it_stays(make: Make, kind: str) -> None:
    thing = await make(kind)

    one, other = await thing.rest.get(thing.path), await thing.rest.get(thing.path)

    ok(one, 200)
    tag = one.headers["etag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    assert other.headers["etag"] == tag


@pytest.mark.parametrize("kind", EDITABLE)
async def test_it_is_changed_under_its_tag_and_by_nobody_who_is_late(make: Make, kind: str) -> None:
    thing = await make(kind)
    before = (await thing.rest.get(thing.path)).headers["etag"]

    changed = await change(thing, thing.one, before)
    late = await change(thing, thing.other, before)

    assert ok(changed, 200).items() >= thing.one.items()
    after = changed.headers["etag"]
    assert after != before
    problem(late, 412, "precondition-failed")
    now = await thing.rest.get(thing.path)
    assert ok(now).items() >= thing.one.items()
    assert now.headers["etag"] == after
    assert ok(await change(thing, thing.other, after), 200).items() >= thing.other.items()


@pytest.mark.parametrize("kind", EDITABLE)
async def test_of_two_who_change_it_at_once_one_wins(make: Make, kind: str) -> None:
    thing = await make(kind)
    tag = (await thing.rest.get(thing.path)).headers["etag"]

    replies = await at_once(
        6, thing.rest, "PATCH", thing.path, thing.one, headers={"if-match": tag}
    )

    assert statuses(replies) == [200, 412, 412, 412, 412, 412], [told(one) for one in replies]


@pytest.mark.parametrize("kind", EDITABLE)
async def test_any_tag_will_do_where_one_says_so(make: Make, kind: str) -> None:
    thing = await make(kind)

    assert ok(await change(thing, thing.one, "*"), 200).items() >= thing.one.items()
    listed = (await thing.rest.get(thing.path)).headers["etag"]
    ok(await change(thing, thing.other, f'"nothing", {listed}'), 200)
    # A weak tag never matches where a strong comparison is wanted.
    newest = (await thing.rest.get(thing.path)).headers["etag"]
    problem(await change(thing, thing.one, f"W/{newest}"), 412)


@pytest.mark.parametrize("kind", EDITABLE)
async def test_without_a_tag_the_last_one_wins(make: Make, kind: str) -> None:
    thing = await make(kind)

    ok(await change(thing, thing.one), 200)
    ok(await change(thing, thing.other), 200)

    assert ok(await thing.rest.get(thing.path)).items() >= thing.other.items()


@pytest.mark.parametrize("kind", EDITABLE)
async def test_a_patch_of_nothing_leaves_everything(make: Make, kind: str) -> None:
    thing = await make(kind)
    before = ok(await thing.rest.get(thing.path))

    ok(await change(thing, {}), 200)

    now = ok(await thing.rest.get(thing.path))
    moments = {"updated_at", "last_login_at"}
    assert {k: v for k, v in now.items() if k not in moments} == {
        k: v for k, v in before.items() if k not in moments
    }


@pytest.mark.parametrize("kind", EDITABLE)
async def test_a_patch_is_an_object_of_known_fields(make: Make, kind: str) -> None:
    thing = await make(kind)
    headers = {"content-type": "application/merge-patch+json"}

    for raw in (b"[]", b"null", b'"x"', b"7"):
        reply = await thing.rest.call("PATCH", thing.path, raw=raw, headers=headers)
        assert pointers(reply) == [""], raw
    assert pointers(await change(thing, {"nonsense": None})) == ["/nonsense"]
    assert pointers(await change(thing, {"id": "x"})) == ["/id"]


@pytest.mark.parametrize("kind", EDITABLE)
async def test_both_types_of_a_patch_are_read(make: Make, kind: str) -> None:
    thing = await make(kind)

    for content_type, body in (
        ("application/merge-patch+json", thing.one),
        ("application/json", thing.other),
    ):
        reply = await thing.rest.call(
            "PATCH", thing.path, body, headers={"content-type": content_type}
        )
        assert ok(reply, 200).items() >= body.items()


@pytest.mark.parametrize("kind", REMOVABLE)
async def test_it_is_not_removed_by_somebody_who_is_late(make: Make, kind: str) -> None:
    thing = await make(kind)
    before = (await thing.rest.get(thing.path)).headers["etag"]
    after = (await change(thing, thing.one)).headers["etag"]

    late = await thing.rest.call("DELETE", thing.path, headers={"if-match": before})
    still = await thing.rest.get(thing.path)
    gone = await thing.rest.call("DELETE", thing.path, headers={"if-match": after})

    problem(late, 412, "precondition-failed")
    ok(still, 200)
    assert gone.status_code == 204, told(gone)
    problem(await thing.rest.get(thing.path), 404)


@pytest.mark.parametrize("kind", REMOVABLE)
async def test_of_what_is_gone_no_tag_is_right(make: Make, kind: str) -> None:
    thing = await make(kind)
    tag = (await thing.rest.get(thing.path)).headers["etag"]
    assert (await thing.rest.delete(thing.path)).status_code == 204

    for value in (tag, "*"):
        reply = await change(thing, thing.one, value)
        problem(reply, {404, 412})


async def test_quotas_are_edited_like_anything_else(home: Home, admin: Person) -> None:
    path, quota = f"/v1/admin/tenants/{home.id}", {"quotas": {"connections": 7}}
    tag = ok_tag(await admin.rest.get(path))
    headers = {"if-match": tag}

    changed = await admin.rest.call("PATCH", f"{path}/quota", quota, headers=headers)
    late = await admin.rest.call("PATCH", f"{path}/quota", quota, headers=headers)

    assert ok(changed, 200)["quotas"]["connections"] == 7
    problem(late, 412, "precondition-failed")
    assert ok(await admin.rest.get(path))["quotas"]["sources"] == 2000


def ok_tag(reply: httpx.Response) -> str:
    ok(reply, 200)
    tag: str = reply.headers["etag"]
    return tag


async def test_a_patch_merges_what_is_inside_and_null_takes_away(home: Home) -> None:
    headers = {"signature_header": "x-a", "timestamp_header": "x-t", "id_header": "x-id"}
    recipe = {"tolerance": 60, "hmac": headers | {"template": "{timestamp}{body}", "prefix": "p="}}
    wish = source_wish(scheme="hmac", secrets=["s"], recipe=recipe, unchecked=True)
    path = f"/v1/sources/{ok(await home.rest.post('/v1/sources', wish), 201)['id']}"

    changes: dict[str, Any] = {"recipe": {"hmac": {"prefix": "q="}}, "unchecked": True}
    ok(await home.rest.patch(path, changes), 200)
    merged = ok(await home.rest.get(path))["recipe"]
    assert merged["hmac"]["prefix"] == "q="
    assert merged["hmac"]["signature_header"] == "x-a"
    assert merged["hmac"]["id_header"] == "x-id"
    assert merged["tolerance"] == 60

    changes["recipe"] = {"tolerance": None, "hmac": {"id_header": None}}
    ok(await home.rest.patch(path, changes))
    cleared = ok(await home.rest.get(path))["recipe"]
    assert cleared.get("tolerance") is None
    assert cleared["hmac"].get("id_header") is None
    assert cleared["hmac"]["signature_header"] == "x-a"


async def test_a_list_is_replaced_whole(home: Home) -> None:
    wish = destination_wish(event_types=["a.*", "b.*"])
    path = f"/v1/destinations/{ok(await home.rest.post('/v1/destinations', wish), 201)['id']}"

    ok(await home.rest.patch(path, {"event_types": ["c.*"]}), 200)
    assert ok(await home.rest.get(path))["event_types"] == ["c.*"]
    ok(await home.rest.patch(path, {"event_types": None}), 200)
    assert ok(await home.rest.get(path))["event_types"] == []


async def test_what_must_be_there_cannot_be_taken_away(home: Home) -> None:
    path = (await home.source()).headers["location"]

    reply = await home.rest.patch(path, {"name": None})

    assert pointers(reply) == ["/name"]


async def test_a_lookup_under_the_newest_tag_need_not_send_it_again(home: Home) -> None:
    path = (await home.source()).headers["location"]
    first = await home.rest.get(path)

    again = await home.rest.call("GET", path, headers={"if-none-match": first.headers["etag"]})
    other = await home.rest.call("GET", path, headers={"if-none-match": '"nothing"'})

    assert (again.status_code, again.content) == (304, b""), told(again)
    assert again.headers["etag"] == first.headers["etag"]
    assert ok(other, 200) == ok(first)
