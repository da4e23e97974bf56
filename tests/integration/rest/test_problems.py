"""Every way to go wrong ends in a problem, and says no more than it should."""

import asyncio
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast
from urllib.parse import unquote

import httpx
import msgspec
import pytest
from litestar import Litestar

from crossdock.db import Databases
from crossdock.errors import DatabaseUnavailable
from gateway.identity import opened
from gateway.problems.types import BY_NAME
from gateway.request import MAX_BODY_BYTES
from gateway.rest import create_rest
from tests.beds.open_runtime import OpenRuntime
from tests.beds.routes import PAGES, PUBLIC
from tests.beds.signing_in import Unknowing

JSON = {"content-type": "application/json"}


def check(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"/problems/{name}"
    assert problem["status"] == status
    assert problem["title"] == BY_NAME[name].title
    instance = unquote(problem["instance"])
    assert instance.startswith("urn:uuid:") if status == 500 else instance.startswith("/")
    return problem


async def test_an_unknown_path(alice: Any, anonymous: Any) -> None:
    for client in (alice.http, anonymous):
        for path in ("/", "/v1", "/v1/", "/v1/nothing", "/v2/sources", "/v1/sources/a/b/c/d"):
            problem = check(await client.get(path), 404, "not-found")
            assert "errors" not in problem


@pytest.mark.parametrize(
    "path", ["/v1/sources/%00", "/v1/sources/..%2f..", "/v1//sources/%ff", "/v1/sources/src_%F0"]
)
async def test_an_odd_path_is_a_path_to_nothing(alice: Any, path: str) -> None:
    check(await alice.http.get(path), 404, "not-found")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "TRACE", "BREW", "GETT"])
async def test_a_method_that_does_not_fit(alice: Any, method: str) -> None:
    answer = await alice.http.request(method, "/v1/sources")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, OPTIONS, POST"
    if method != "HEAD":
        check(answer, 405, "method-not-allowed")


async def test_options_say_what_fits_to_those_with_a_key(alice: Any, anonymous: Any) -> None:
    answer = await alice.http.options("/v1/sources")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, OPTIONS, POST")
    answer = await alice.http.options("/v1/sources/src_01h455vb4pex5vsknk084sn02q")
    assert answer.headers["allow"] == "DELETE, GET, OPTIONS, PATCH"
    check(await anonymous.options("/v1/sources"), 401, "unauthenticated")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/msgpack",
        "application/jsonp",
        "application/json; charset=latin-1",
        "application/merge-patch+json",
        "text/json",
    ],
)
async def test_only_json_is_understood(alice: Any, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    body = b'{"name": "x", "scheme": "none"}'
    answer = await alice.http.post("/v1/sources", content=body, headers=headers)
    check(answer, 415, "unsupported-media-type")


async def test_json_may_name_its_charset(alice: Any) -> None:
    for number, content_type in enumerate(
        ("application/json; charset=utf-8", "Application/JSON;charset=UTF-8")
    ):
        body = f'{{"name": "charset {number}", "scheme": "none"}}'
        headers = {"content-type": content_type}
        answer = await alice.http.post("/v1/sources", content=body, headers=headers)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b'{"name": "x", "scheme": "none"}x',
        b'{"name": "x", "scheme": "none",}',
        b"{'name': 'x'}",
        b'{"name": NaN}',
        b'\xef\xbb\xbf{"name": "x"}',
        b'{"name": "\xff", "scheme": "none"}',
        b'{"name": "\xed\xa0\x80", "scheme": "none"}',
        b'{"name": "\\ud800", "scheme": "none"}',
        b'{"name": "a\x00b", "scheme": "none"}',
        b"[" * 10_000,
        b'{"name":' * 10_000,
        b'{"name": "x", "recipe": ' + b'{"a":' * 10_000,
        b"\x00",
        b" ",
    ],
)
@pytest.mark.parametrize("path", ["/v1/sources", "/v1/destinations"])
async def test_what_is_no_json_is_refused(alice: Any, path: str, body: bytes) -> None:
    answer = await alice.http.post(path, content=body, headers=JSON)
    assert answer.status_code in {400, 422}, answer.text
    check(answer, answer.status_code, {400: "malformed", 422: "invalid"}[answer.status_code])
    assert len(answer.text) < 1000


async def test_no_body_where_one_is_needed(alice: Any) -> None:
    check(await alice.http.post("/v1/sources", headers=JSON), 400, "malformed")
    check(await alice.http.post("/v1/sources"), 400, "malformed")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"1", b"true", b"{}"])
async def test_json_of_another_shape_is_invalid(alice: Any, body: bytes) -> None:
    problem = check(
        await alice.http.post("/v1/sources", content=body, headers=JSON), 422, "invalid"
    )
    assert problem["errors"]


async def test_a_null_character_is_refused_wherever_it_hides(alice: Any) -> None:
    for body, pointer in (
        (b'{"name": "a\\u0000b", "scheme": "none"}', "/name"),
        (
            b'{"name": "n", "scheme": "none", "recipe": {"event_type": {"fixed": "\\u0000"}}}',
            "/recipe/event_type/fixed",
        ),
        (b'{"name": "n", "scheme": "stripe", "secrets": ["ok", "\\u0000"]}', "/secrets/1"),
    ):
        answer = await alice.http.post("/v1/sources", content=body, headers=JSON)
        assert check(answer, 422, "invalid")["errors"][0]["pointer"] == pointer
    text = b'{"name": "an escaped \\\\u0000 is just text", "scheme": "none"}'
    assert (await alice.http.post("/v1/sources", content=text, headers=JSON)).status_code == 201


async def test_a_body_that_is_too_large(alice: Any) -> None:
    body = b'{"name": "' + b"a" * MAX_BODY_BYTES + b'"}'
    check(await alice.http.post("/v1/sources", content=body, headers=JSON), 413, "too-large")

    async def chunks() -> Any:
        for _ in range(9):
            yield b"a" * (MAX_BODY_BYTES // 8)

    answer = await alice.http.post("/v1/sources", content=chunks(), headers=JSON)
    check(answer, 413, "too-large")


async def test_a_length_that_is_no_number(alice: Any) -> None:
    headers = {**JSON, "content-length": "many"}
    answer = await alice.http.post("/v1/sources", content=b"{}", headers=headers)
    check(answer, 400, "malformed")


async def test_a_body_that_stalls_is_not_waited_for(
    app: Litestar, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state, "body_timeout_s", 0.05)
    status, _ = await call(app, alice.key, first=b'{"name":', then="silence")
    assert status == 408


async def test_a_sender_who_leaves_in_the_middle_is_no_fault(app: Litestar, alice: Any) -> None:
    status, _ = await call(app, alice.key, first=b'{"name":', then="disconnect")
    assert status == 400


async def call(app: Litestar, key: str, *, first: bytes, then: str) -> tuple[int, bytes]:
    """Call the application as a server would, with a body that breaks off."""
    sent: list[Any] = []
    chunks = iter([{"type": "http.request", "body": first, "more_body": True}])

    async def receive() -> Any:
        for chunk in chunks:
            return chunk
        if then == "silence":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/sources",
        "raw_path": b"/v1/sources",
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"authorization", f"Bearer {key}".encode()),
            (b"content-type", b"application/json"),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def test_many_headers_are_just_many_headers(alice: Any) -> None:
    headers = [(f"x-{number}", "y" * 100) for number in range(500)]
    assert (await alice.http.get("/v1/tenant", headers=headers)).status_code == 200


async def test_a_fault_of_ours_says_an_id_and_nothing_else(
    alice: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "SELECT secret FROM crossdock.sources"

    async def broken(*_: Any) -> None:
        raise RuntimeError(secret)

    monkeypatch.setattr("crossdock.tenancy.store.own", broken)
    answer = await alice.http.get("/v1/tenant")
    problem = check(answer, 500, "internal")
    assert set(problem) == {"type", "title", "status", "instance"}
    assert problem["instance"].startswith("urn:uuid:")
    assert secret not in answer.text
    logged = capsys.readouterr()
    assert problem["instance"] in logged.out + logged.err
    assert secret in logged.out + logged.err


async def test_an_outage_is_503_and_says_nothing_of_the_inside(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise DatabaseUnavailable(
            "could not connect to 10.0.0.7 as crossdock_app", retry_after_s=2.2
        )

    monkeypatch.setattr("crossdock.tenancy.store.own", away)
    answer = await alice.http.get("/v1/tenant")
    problem = check(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "3"
    assert "10.0.0.7" not in answer.text
    assert problem["detail"] == "The database is away for the moment."


async def test_every_answer_carries_the_security_headers(
    alice: Any, anonymous: Any, connect: Callable[..., httpx.AsyncClient]
) -> None:
    answers = [
        await alice.http.get("/v1/sources"),
        await alice.http.get("/schema/openapi.json"),
        await alice.http.post("/v1/sources", content=b"{", headers=JSON),
        await alice.http.delete("/v1/sources"),
        await alice.http.get("/nowhere"),
        await anonymous.get("/v1/sources"),
        await anonymous.get("/health/live"),
    ]
    for answer in answers:
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "permissions-policy" in headers
        assert "server" not in headers
        assert "strict-transport-security" not in headers, "the public URL is plain HTTP here"


async def test_health_is_open_and_says_little(anonymous: Any) -> None:
    assert (await anonymous.get("/health/live")).json() == {"status": "ok"}
    assert (await anonymous.get("/health/ready")).json() == {"status": "ready"}
    found = (await anonymous.get("/health/components")).json()["components"]
    assert set(found) == {"nats", "postgres"}
    for component in found.values():
        assert set(component) == {"state", "latency_ms", "since"}


async def test_nothing_else_is_open(app: Litestar, anonymous: Any) -> None:
    for route in app.routes:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
        for method in sorted(getattr(route, "methods", ())):
            answer = await anonymous.request(method, path)
            if path.startswith(PAGES) and method != "OPTIONS":
                assert answer.status_code in {200, 404}, (method, path)
            elif (method, path) in PUBLIC:
                assert answer.status_code in {200, 400}, (method, path)
            else:
                check(answer, 401, "unauthenticated")


async def test_the_document_below_schema_has_no_pages(alice: Any) -> None:
    check(await alice.http.get("/schema/swagger"), 404, "not-found")
    check(await alice.http.get("/schema/redoc"), 404, "not-found")


async def test_a_host_header_changes_nothing(alice: Any) -> None:
    made = []
    for number, host in enumerate(("evil.example", "localhost:1")):
        body = {"name": f"host {number}", "scheme": "none"}
        answer = await alice.http.post("/v1/sources", json=body, headers={"host": host})
        made.append(answer.json()["ingest_url"].rpartition("/")[0])
        assert "evil" not in answer.text
    assert all(first == second for first, second in pairwise(made))


@pytest.fixture
async def lost_database(settings: Any) -> Any:
    """A database that nobody answers for."""
    nowhere = msgspec.structs.replace(settings.database, url="postgresql://127.0.0.1:1/crossdock")
    found = await Databases.open(nowhere, {"app", "directory"})
    yield found
    await found.close()


async def test_without_a_database_every_call_is_503(
    settings: Any, lost_database: Databases, alice: Any
) -> None:
    headers = {"authorization": f"Bearer {alice.key}"}
    async with opened(settings, lost_database, Unknowing()) as identity:
        rest = create_rest(settings, OpenRuntime(lost_database, identity))
        transport = httpx.ASGITransport(cast("Any", rest))
        client = httpx.AsyncClient(transport=transport, base_url="http://api")
        answer = await client.get("/v1/sources", headers=headers)
        check(answer, 503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in answer.text
        assert (await client.get("/health/live")).status_code == 200
