"""Every answer of every route carries the security headers: a walk, and what no route answers."""

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar

from gateway.request import MAX_BODY_BYTES
from tests.beds.routes import ENDLESS
from tests.integration.edge.conftest import PUBLIC
from tests.integration.rest.conftest import Caller

METHODS: Final = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS")
WITH_A_KEY: Final = ("GET", "POST")
WANTED: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
}
OWN_POLICY: Final = ("/docs", "/problems")
"""Pages that load things, or have styles, say themselves what they may."""
PLACE: Final = re.compile(r"\{[^}]*\}")
INGEST: Final = "/in/" + "0" * 32


def assert_secured(answer: httpx.Response) -> None:
    """Check the headers of one answer."""
    where = f"{answer.request.method} {answer.request.url} -> {answer.status_code}"
    path = answer.request.url.path
    for name, value in WANTED.items():
        found = answer.headers.get_list(name)
        assert len(found) == 1, (where, name, found)
        if name == "cache-control":
            assert found[0] == "no-store" or found[0].startswith("public, max-age="), where
        elif name == "content-security-policy" and path.startswith(OWN_POLICY):
            assert_strict(found[0])
        else:
            assert found[0] == value, where
    assert not {"x-powered-by", "set-cookie"} & set(answer.headers), where


def assert_strict(policy: str) -> None:
    """Check that a page's own policy allows no more than what is served here."""
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";") if rule.strip())
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"
    for name, sources in rules.items():
        assert "*" not in sources, policy
        assert "http" not in sources, policy
        if name.startswith("script"):
            assert "'unsafe-inline'" not in sources, policy
            assert "'unsafe-eval'" not in sources, policy


def paths(app: Litestar) -> Iterator[str]:
    """Return a path of each route there is."""
    for route in app.routes:
        yield PLACE.sub("nothing", route.path_format)


async def test_every_route_answers_with_them(
    app: Litestar, http: httpx.AsyncClient, new_tenant: Callable[..., Awaitable[Caller]]
) -> None:
    key = (await new_tenant()).key
    statuses = set()
    for path in sorted(set(paths(app))):
        asked: list[tuple[str, dict[str, str]]] = [(method, {}) for method in METHODS]
        asked += [(method, {"authorization": f"Bearer {key}"}) for method in WITH_A_KEY]
        for method, headers in asked:
            async with http.stream(method, path, headers=headers) as answer:
                if path not in ENDLESS:
                    await answer.aread()
            assert_secured(answer)
            assert answer.status_code < 500, (method, path)
            statuses.add(answer.status_code)

    assert {200, 401, 403, 404, 405} <= statuses


async def test_what_no_handler_answers_carries_them_too(http: httpx.AsyncClient) -> None:
    large, odd = b"x" * (MAX_BODY_BYTES + 1), {"content-type": "application/json"}
    answers = {
        404: await http.get("/nowhere"),
        405: await http.request("TRACE", "/v1/auth/login"),
        413: await http.post("/v1/auth/login", content=large, headers=odd),
        400: await http.post("/v1/auth/login", content=b"{", headers=odd),
        415: await http.post("/v1/auth/login", content=b"{}"),
        422: await http.post("/v1/auth/login", content=b"{}", headers=odd),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert_secured(answer)


PAGES: Final = ("/docs", "/docs/redoc", "/schema/openapi.json", "/problems", "/problems/not-found")


@pytest.mark.parametrize("path", PAGES)
async def test_pages_carry_them_with_a_policy_of_their_own(
    http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path)

    assert answer.status_code == 200
    assert_secured(answer)


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 404), ("GET", 404), ("PUT", 405), ("OPTIONS", 405)]
)
async def test_webhooks_answers_carry_them(
    http: httpx.AsyncClient, method: str, status: int
) -> None:
    answer = await http.request(method, INGEST)

    assert answer.status_code == status
    assert_secured(answer)


async def test_a_webhook_that_is_taken_is_answered_with_them(
    http: httpx.AsyncClient, new_tenant: Callable[..., Awaitable[Caller]]
) -> None:
    caller = await new_tenant()
    made = await caller.http.post("/v1/sources", json={"name": "any", "scheme": "none"})
    assert made.status_code == 201, made.text
    path = httpx.URL(made.json()["ingest_url"]).path

    answer = await http.post(path, content=b"{}")

    assert answer.status_code == 202
    assert_secured(answer)


async def test_the_host_and_the_scheme_that_senders_name_change_nothing(
    http: httpx.AsyncClient, new_tenant: Callable[..., Awaitable[Caller]]
) -> None:
    key = (await new_tenant()).key
    told: dict[str, Any] = {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "http",
        "x-forwarded-prefix": "/evil",
        "forwarded": "host=evil.example;proto=http",
        "authorization": f"Bearer {key}",
    }
    wish = {"name": "whose", "scheme": "github"}

    answer = await http.post("/v1/sources", json=wish, headers=told)

    assert answer.status_code == 201
    assert answer.json()["ingest_url"].startswith(f"{PUBLIC}/in/")
    assert answer.headers["location"].startswith("/v1/sources/src_")
    assert "evil" not in answer.text + str(answer.headers)
