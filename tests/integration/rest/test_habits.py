"""Every resource has the same habits: a walk over all routes there are, and will be.

A route that has another habit needs a reason, written below.
"""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from crossdock import ids
from gateway.auth import SAFE, access_of
from gateway.parameters import shape_of
from tests.beds.routes import ENDLESS, handlers, takes_body

TAG = re.compile(r'"(?P<version>\d*)-[0-9a-f]{16}"')
STALE = '"0-0123456789abcdef"'

UNTAGGED = {
    "/.well-known/jwks.json": "kept by age, as whoever reads such sets expects",
    "/health/components": "of the moment",
    "/health/live": "of the moment",
    "/health/ready": "of the moment",
}
"""What is shown without a tag."""
ABOUT_SOMETHING_ELSE = {
    ("POST", "/v1/event-types/{event_type_id}/check"): "changes nothing",
    ("POST", "/v1/event-types/{event_type_id}/validate"): "changes nothing",
    ("POST", "/v1/sources/{source_id}/test"): "changes nothing",
    ("POST", "/v1/admin/tenants/{tenant_id}/support"): "makes an access",
    ("POST", "/v1/admin/tenants/{tenant_id}/support/{support_id}/token"): "of an access",
    ("DELETE", "/v1/admin/tenants/{tenant_id}/support/{support_id}"): "of an access",
    ("DELETE", "/v1/users/{user_id}/sessions"): "of sessions",
    ("POST", "/v1/destinations/{destination_id}/cancel-pending"): "of deliveries",
    ("DELETE", "/v1/destinations/{destination_id}/inbox"): "of messages",
}
"""Changes below a path that has versions, of what has none."""
UNDATED = {"/v1/source-presets": "one catalogue for all, in its own order"}
"""Lists that aren't newest first."""
KEYS = ("id", "number", "at", "dropped_at")
"""By which lists are sorted. The latter two are of what can only be listed, so it has no id."""


class Route(msgspec.Struct):
    """A route, and somebody who may use it."""

    method: str
    path: str
    """With the ids of things that there are."""
    template: str
    handler: HTTPRouteHandler
    http: httpx.AsyncClient


@pytest.fixture(scope="module")
async def routes(
    app: Litestar, owner: dict[str, Any], operator: Any, anonymous: Any
) -> list[Route]:
    """All of them."""
    owned, caller = owner["owned"], owner["caller"]
    tenant = f"/v1/admin/tenants/{ids.encode('ten', caller.tenant_id)}"
    opened = await operator.post(f"{tenant}/support", json={"reason": "to look", "minutes": 5})
    owned["support_id"] = opened.json()["support_id"]
    callers = {
        "permissions": caller.http,
        "user": owner["http"],
        "operator": operator,
        "public": anonymous,
    }
    found = []
    for method, template, handler in handlers(app):
        access = access_of(handler)
        assert access is not None
        if template in ENDLESS:
            continue
        path = template.format(**owned)
        found.append(Route(method, path, template, handler, callers[access.kind]))
    return found


def changes(routes: list[Route]) -> Iterator[Route]:
    return (route for route in routes if route.method not in SAFE)


def is_list(route: Route) -> bool:
    return "limit" in shape_of(route.handler).query


def shown(routes: list[Route]) -> list[Route]:
    return [route for route in routes if route.method == "GET" and not is_list(route)]


def pointers(answer: httpx.Response, status: int = 422) -> set[str]:
    assert answer.status_code == status, (answer.request.url, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    return {error["pointer"] for error in answer.json()["errors"]}


async def versioned(routes: list[Route]) -> dict[str, str]:
    """Return the tags of all that can be edited, by the templates of their paths."""
    found = {}
    for route in shown(routes):
        tag = (await route.http.get(route.path)).headers.get("etag", "")
        match = TAG.fullmatch(tag)
        if match is not None and match["version"]:
            found[route.template] = tag
    return found


def of_version(route: Route, tags: dict[str, str]) -> str | None:
    """Return the template of the thing with a version that a change is of, if it is of one."""
    above = [path for path in tags if f"{route.template}/".startswith(f"{path}/")]
    return max(above, key=len, default=None)


async def test_what_is_shown_has_a_tag_and_is_not_sent_twice(routes: list[Route]) -> None:
    walked = shown(routes)
    assert len(walked) >= 20
    for route in walked:
        answer = await route.http.get(route.path)
        assert answer.status_code == 200, (route.path, answer.text)
        if route.template in UNTAGGED:
            assert "etag" not in answer.headers
            continue
        tag = answer.headers["etag"]
        assert TAG.fullmatch(tag), (route.template, tag)
        for asked in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            again = await route.http.get(route.path, headers={"if-none-match": asked})
            assert (again.status_code, again.content) == (304, b""), route.template
            assert again.headers["etag"] == tag
            assert "content-type" not in again.headers
            assert again.headers["cache-control"] == "no-store"
        other = await route.http.get(route.path, headers={"if-none-match": STALE})
        assert (other.status_code, other.content) == (200, answer.content)
        bad = await route.http.get(route.path, headers={"if-none-match": "x"})
        assert pointers(bad, 400) == {"If-None-Match:"}


async def test_every_change_of_what_has_a_version_depends_on_it_when_asked(
    routes: list[Route],
) -> None:
    tags = await versioned(routes)
    assert len(tags) >= 9, sorted(tags)
    walked = 0
    for route in changes(routes):
        takes = shape_of(route.handler).takes_if_match
        known = (route.method, route.template) in ABOUT_SOMETHING_ELSE
        assert takes == (of_version(route, tags) is not None and not known), route.template
        assert not (known and takes), route.template
        if not takes:
            continue
        walked += 1
        body = {"json": sample(route)} if takes_body(route.handler) else {}
        answer = await ask(route, **body, headers={"if-match": STALE})
        assert answer.status_code == 412, (route.template, answer.text)
        assert answer.json()["type"] == "/problems/precondition-failed"
        for bad in ("x", '"3', '"1" "2"'):
            answer = await ask(route, **body, headers={"if-match": bad})
            assert pointers(answer, 400) == {"If-Match:"}
    assert walked >= 24
    assert await versioned(routes) == tags, "nothing was changed"


async def test_what_has_no_version_refuses_to_depend_on_one(routes: list[Route]) -> None:
    walked = 0
    for route in changes(routes):
        headers = [] if shape_of(route.handler).takes_if_match else ["If-Match"]
        for name in (*headers, "If-None-Match"):
            answer = await ask(route, headers={name: "*"})
            assert pointers(answer, 400) == {f"{name}:"}, route.template
            walked += 1
    assert walked >= 60


async def test_every_patch_merges_and_takes_no_more_than_it_says(routes: list[Route]) -> None:
    tags = await versioned(routes)
    patches = [route for route in routes if route.method == "PATCH"]
    assert len(patches) >= 6
    for route in patches:
        above = of_version(route, tags)
        assert above is not None
        for kind in ("application/json", "application/merge-patch+json"):
            headers = {"content-type": kind, "if-match": tags[above]}
            answer = await ask(route, content=b"{}", headers=headers)
            assert answer.status_code == 200, (route.template, answer.text)
            assert answer.headers["etag"] == tags[above], "what is left out stays"
        for odd in (b"[]", b'"x"', b"null", b"1"):
            headers = {"content-type": "application/merge-patch+json"}
            assert pointers(await ask(route, content=odd, headers=headers)) == {""}
        headers = {"content-type": "application/json-patch+json"}
        answer = await ask(route, content=b"[]", headers=headers)
        assert pointers(answer, 415) == {"Content-Type:"}


async def test_every_body_refuses_what_it_does_not_know(routes: list[Route]) -> None:
    walked = 0
    for route in changes(routes):
        answer = await ask(route, json={"nothing_like_it": 1})
        wanted = "/nothing_like_it" if takes_body(route.handler) else ""
        assert pointers(answer) == {wanted}, route.template
        walked += 1
        if takes_body(route.handler):
            answer = await ask(route, content=b"{}", headers={"content-type": "text/plain"})
            assert pointers(answer, 415) == {"Content-Type:"}
    assert walked >= 45


async def test_every_route_refuses_parameters_and_headers_that_nobody_understands(
    routes: list[Route],
) -> None:
    for route in routes:
        answer = await ask(route, params={"nothing_like_it": "1"})
        assert pointers(answer) == {"?nothing_like_it"}, route.template
        for name in ("Content-Type", "If-Match", "If-None-Match", "Idempotency-Key"):
            answer = await ask(route, headers=[(name, '"a"'), (name, '"b"')])
            assert f"{name}:" in pointers(answer, 400), route.template


async def test_every_list_has_pages_and_refuses_what_is_none(routes: list[Route]) -> None:
    lists = [route for route in routes if is_list(route)]
    assert len(lists) >= 15
    for route in lists:
        assert {"limit", "cursor"} <= shape_of(route.handler).query, route.template
        page = (await ask(route, params={"limit": "1"})).json()
        assert set(page) == {"items", "next_cursor"}, route.template
        whole = (await ask(route, params={"limit": "200"})).json()
        if route.template not in UNDATED:
            keys = [key_of(item) for item in whole["items"] if not item.get("built_in")]
            assert keys == sorted(keys, reverse=True), "newest first"
        for limit in ("0", "201", "-1", "x", "1.5", ""):
            answer = await ask(route, params={"limit": limit})
            assert pointers(answer) == {"?limit"}, (route.template, limit)
        for cursor in ("x", "A" * 44, "é" * 44):
            answer = await ask(route, params={"cursor": cursor})
            assert pointers(answer) == {"?cursor"}, route.template


async def test_a_get_with_items_is_a_list(routes: list[Route]) -> None:
    for route in shown(routes):
        assert "items" not in (await route.http.get(route.path)).text[:9], route.template


async def test_a_part_of_a_path_that_is_no_id_is_named(routes: list[Route]) -> None:
    walked = 0
    for route in routes:
        names = re.findall(r"{(\w+)}", route.template)
        if len(names) == 1:
            path = route.template.format(**{names[0]: "att_01h455vb4pex5vsknk084sn02q"})
            body = sample(route) if takes_body(route.handler) else None
            answer = await route.http.request(route.method, path, json=body)
            assert pointers(answer, 404) == {f"{{{names[0]}}}"}, route.template
            walked += 1
    assert walked >= 40


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "*/*;q=0", "", "nonsense"])
async def test_there_is_one_form_whatever_is_accepted(routes: list[Route], accept: str) -> None:
    for route in shown(routes):
        answer = await route.http.get(route.path, headers={"accept": accept})
        assert answer.status_code == 200, route.template


async def ask(route: Route, **given: Any) -> httpx.Response:
    return await route.http.request(route.method, route.path, **given)


def key_of(item: dict[str, Any]) -> Any:
    """Return what says when an item was made: its id, its number among its kind, or a moment."""
    return next(item[name] for name in KEYS if name in item)


def sample(route: Route) -> dict[str, Any]:
    """Return a body that a route takes, and that would change something."""
    bodies: dict[str, dict[str, Any]] = {
        "check": {"schema": {}},
        "validate": {"payload": 1},
        "suspend": {"reason": "x"},
        "terminate": {"reason": "x"},
        "support": {"reason": "x", "minutes": 5},
        "quota": {"plan": "business"},
    }
    return bodies.get(route.template.rpartition("/")[2], {})
