"""The API's description: complete, open to read, and shown without anything from elsewhere."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec
import pytest

from tests.acceptance.habits.home import IDEMPOTENCY_KEY, Home
from tests.acceptance.identity.problems import ok
from tests.acceptance.openapi import DOCUMENT, METHODS

COMMITTED: Final = Path(__file__).parents[3] / "docs" / "openapi.json"
SESSIONS: Final = {("post", "/v1/auth/login"), ("post", "/v1/auth/refresh")}
"""Whose answers are sessions, which nobody gets a second time."""
QUESTIONS: Final = {
    ("post", "/v1/event-types/{event_type_id}/check"),
    ("post", "/v1/event-types/{event_type_id}/validate"),
    ("post", "/v1/sources/check"),
}
"""Which change nothing, so that they may be asked again."""
WEBHOOKS: Final = "/in/{token}"
PAGES: Final = ("/docs", "/docs/redoc")


@pytest.fixture(scope="module")
async def document(home: Home) -> Any:
    return ok(await home.town.anyone().get(DOCUMENT), 200)


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Go through method, path and operation, but for the webhooks'."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item and path != WEBHOOKS:
                yield method, path, item[method]


def resolved(document: Any, node: Any) -> Any:
    """Return what a reference leads to."""
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def has_example(document: Any, media: Any) -> bool:
    schema = resolved(document, media.get("schema", {}))
    return bool({"example", "examples"} & (set(media) | set(schema)))


async def test_it_is_open_and_says_how_to_sign_in(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert {"title", "version", "description", "license", "contact"} <= set(document["info"])
    assert document["components"]["securitySchemes"]
    assert document["servers"]


async def test_it_is_the_one_that_is_kept_beside_the_code(document: Any) -> None:
    kept = msgspec.json.decode(COMMITTED.read_bytes())

    for told in (document, kept):
        told.pop("servers", None)
    assert document == kept


def test_every_reference_leads_somewhere(document: Any) -> None:
    def walk(node: Any) -> Iterator[Any]:
        if isinstance(node, dict):
            yield node
            for inner in node.values():
                yield from walk(inner)
        elif isinstance(node, list):
            for inner in node:
                yield from walk(inner)

    found = [node for node in walk(document) if isinstance(node.get("$ref"), str)]
    assert len(found) > 100
    for node in found:
        assert resolved(document, node) is not None


def test_every_operation_says_what_it_is(document: Any) -> None:
    names = []
    for method, path, told in operations(document):
        where = (method, path)
        assert told.get("summary"), where
        assert told.get("description"), where
        assert told.get("tags"), where
        names.append(told["operationId"])
    assert len(names) == len(set(names))
    assert len(names) > 60


def test_every_operation_says_what_may_go_wrong(document: Any) -> None:
    for method, path, told in operations(document):
        where = (method, path)
        refusals = {status: one for status, one in told["responses"].items() if status[0] in "45"}
        if path.startswith("/v1/"):
            assert {"429", "503"} <= set(refusals), where
        for status, one in refusals.items():
            content = resolved(document, one)["content"]
            assert "application/problem+json" in content, (where, status)
            assert has_example(document, content["application/problem+json"]), (where, status)


def test_every_body_has_an_example(document: Any) -> None:
    for method, path, told in operations(document):
        where = (method, path)
        for media in resolved(document, told.get("requestBody", {})).get("content", {}).values():
            assert has_example(document, media), where
        for status, one in told["responses"].items():
            if status.startswith("2"):
                for name, media in resolved(document, one).get("content", {}).items():
                    # What somebody's webhook holds can be anything.
                    assert name == "application/octet-stream" or has_example(document, media), (
                        where,
                        status,
                    )


def test_every_answer_says_what_is_left(document: Any) -> None:
    for method, path, told in operations(document):
        for status, one in told["responses"].items():
            headers = {name.lower() for name in resolved(document, one).get("headers", {})}
            assert {"ratelimit", "ratelimit-policy"} <= headers, (method, path, status)


def test_every_change_takes_an_idempotency_key(document: Any) -> None:
    for method, path, told in operations(document):
        parameters = [resolved(document, one) for one in told.get("parameters", [])]
        headers = {one["name"].lower(): one for one in parameters if one["in"] == "header"}
        if method == "get" or (method, path) in SESSIONS | QUESTIONS:
            assert IDEMPOTENCY_KEY not in headers, (method, path)
            continue
        assert IDEMPOTENCY_KEY in headers, (method, path)
        assert headers[IDEMPOTENCY_KEY].get("required", False) is (path == "/v1/replays"), path
        assert {"409", "422"} <= set(told["responses"]), (method, path)
        for status, one in told["responses"].items():
            if status.startswith("2"):
                said = {name.lower() for name in resolved(document, one)["headers"]}
                assert "idempotency-replayed" in said, (method, path)


def test_what_has_a_tag_takes_a_precondition(document: Any) -> None:
    for path in ("/v1/sources/{source_id}", "/v1/destinations/{destination_id}", "/v1/tenant"):
        told = document["paths"][path]
        read = {
            name.lower() for name in resolved(document, told["get"]["responses"]["200"])["headers"]
        }
        parameters = [resolved(document, one) for one in told["patch"]["parameters"]]
        assert "etag" in read
        assert "if-match" in {one["name"].lower() for one in parameters}
        assert "412" in told["patch"]["responses"]


def test_webhooks_are_in_it(document: Any) -> None:
    told = document["paths"][WEBHOOKS]["post"]

    assert told["security"] == []
    assert {"202", "401", "404", "413", "429", "503"} <= set(told["responses"])


@pytest.mark.parametrize("path", PAGES)
async def test_it_is_shown_without_anything_from_elsewhere(home: Home, path: str) -> None:
    anyone = home.town.anyone()
    page = await anyone.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")

    assets = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", page.text)
    assert assets
    for asset in assets:
        url = urlsplit(urljoin(home.town.url + path, asset))
        assert f"{url.scheme}://{url.netloc}" == home.town.url, asset
        reply = await anyone.get(url.path)
        assert reply.status_code == 200, asset
        assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
async def test_its_pages_run_nothing_but_what_is_ours(home: Home, path: str) -> None:
    page = await home.town.anyone().get(path)

    policy = {
        part.strip().partition(" ")[0]: part.strip().partition(" ")[2]
        for part in page.headers["content-security-policy"].split(";")
    }
    assert policy["default-src"] == "'none'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "'unsafe-eval'" not in policy["script-src"]
    assert policy["connect-src"] == "'self'"
    assert "*" not in page.headers["content-security-policy"]
    for inline in re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", page.text):
        assert "nonce=" in inline or "'sha256-" in policy["script-src"]


@pytest.mark.parametrize(
    "path",
    [
        "/docs/../../../../etc/passwd",
        "/docs/%2e%2e/%2e%2e/pyproject.toml",
        "/docs/..%2f..%2fpyproject.toml",
        "/docs/assets/..%5c..%5cx",
        "/docs/assets//etc/passwd",
        "/docs/nothing",
    ],
)
async def test_nothing_else_is_handed_out_there(home: Home, path: str) -> None:
    reply = await home.town.anyone().get(path)

    assert reply.status_code in {400, 401, 404}
    assert "root:" not in reply.text
