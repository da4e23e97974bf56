"""Every refusal is a problem that a program can tell by its type and a person can read."""

import re
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.acceptance.habits.home import Home, named, source_wish
from tests.acceptance.habits.telling import problem
from tests.acceptance.house import House
from tests.acceptance.identity.people import Person
from tests.acceptance.identity.problems import ok
from tests.acceptance.wire import Wire

SOURCES = "/v1/sources"
JSON = {"content-type": "application/json"}

MALFORMED: dict[str, bytes] = {
    "no JSON": b"{name: 1}",
    "half a document": b'{"name": "x"',
    "two documents": b'{"name": "x", "scheme": "none"}{}',
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "nothing": b"",
    "another encoding": '{"name": "x"}'.encode("utf-16"),
    "not a number": b'{"name": NaN}',
}


async def mishaps(home: Home) -> dict[str, Any]:
    """Return an answer for each way to be refused, by status and name."""
    made = await home.source()
    path, taken = made.headers["location"], ok(made)["name"]
    await home.rest.patch(path, {"name": taken})
    rest, anyone = home.rest, home.town.anyone()
    narrow = await home.caller("sources:read")
    return {
        "400 malformed": await rest.call("POST", SOURCES, raw=b"{", headers=JSON),
        "401 unauthenticated": await anyone.get(SOURCES),
        "403 forbidden": await narrow.post(SOURCES, source_wish()),
        "404 not-found": await rest.get("/v1/nothing"),
        "405 method-not-allowed": await rest.call("PUT", SOURCES, {}),
        "409 conflict": await rest.post(SOURCES, source_wish(name=taken)),
        "412 precondition-failed": await rest.call(
            "PATCH", path, {"name": named("x")}, headers={"if-match": '"999"'}
        ),
        "413 too-large": await rest.call("POST", SOURCES, raw=b" " * 3_000_000, headers=JSON),
        "415 unsupported-media-type": await rest.call(
            "POST", SOURCES, raw=b"<a/>", headers={"content-type": "text/xml"}
        ),
        "422 invalid": await rest.post(SOURCES, {}),
    }


async def test_each_refusal_has_a_type_of_its_own_and_an_instance(home: Home) -> None:
    for name, reply in (await mishaps(home)).items():
        status, kind = name.split(" ")
        said = problem(reply, int(status), kind)
        assert said["type"] == f"/problems/{kind}"
        assert reply.headers["cache-control"] == "no-store"


async def test_every_type_can_be_followed_to_a_page(home: Home) -> None:
    anyone = home.town.anyone()
    for reply in (await mishaps(home)).values():
        said = problem(reply, reply.status_code)
        page = await anyone.get(urljoin("/", said["type"]))
        assert page.status_code == 200, said["type"]
        assert page.headers["content-type"].startswith("text/html")
        assert said["title"] in page.text
        assert str(said["status"]) in page.text


async def test_the_list_of_types_leads_to_each_of_them(home: Home) -> None:
    anyone = home.town.anyone()
    index = await anyone.get("/problems")
    assert index.status_code == 200
    names = set(re.findall(r'href="(?:/problems/|problems/)?([a-z-]+)"', index.text))
    assert {"not-found", "invalid", "idempotency-key-reused", "signature-invalid"} <= names
    for name in names:
        page = await anyone.get(f"/problems/{name}")
        assert page.status_code == 200, name
        assert "<script" not in page.text.lower()


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "..%2f..%2fetc%2fpasswd",
        "not-found%00",
        "NOT-FOUND",
        "not-found.html",
    ],
)
async def test_a_page_of_no_problem_is_not_found(home: Home, name: str) -> None:
    reply = await home.town.anyone().get(f"/problems/{name}")

    problem(reply, {400, 404})


async def test_the_pages_run_nothing_and_load_nothing(home: Home) -> None:
    for path in ("/problems", "/problems/invalid"):
        page = await home.town.anyone().get(path)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_body_that_cannot_be_read_is_malformed(home: Home, name: str) -> None:
    reply = await home.rest.call("POST", SOURCES, raw=MALFORMED[name], headers=JSON)

    problem(reply, 400, "malformed")


async def test_a_method_that_is_not_there_says_which_are(home: Home) -> None:
    reply = await home.rest.call("PUT", SOURCES, {})

    problem(reply, 405, "method-not-allowed")
    allowed = {method.strip() for method in reply.headers["allow"].split(",")}
    assert {"GET", "POST"} <= allowed
    assert "PUT" not in allowed


async def test_who_is_not_known_is_told_how_to_be(home: Home) -> None:
    for caller in (home.town.anyone(), home.town.bearer("nonsense")):
        reply = await caller.get(SOURCES)
        problem(reply, 401, "unauthenticated")
        assert reply.headers["www-authenticate"].startswith("Bearer")


async def test_what_belongs_to_another_is_as_if_it_were_not(home: Home, neighbour: Home) -> None:
    theirs = (await neighbour.source()).headers["location"]
    nobodys = (await home.source()).headers["location"]
    assert (await home.rest.delete(nobodys)).status_code == 204

    seen = [
        problem(await home.rest.call(method, path, body), 404, "not-found")
        for path in (theirs, nobodys)
        for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None))
    ]

    assert len({(said["title"], said["detail"]) for said in seen}) == 1


@pytest.mark.parametrize("accept", ["text/html", "image/png", "*/*;q=0", "", "nonsense", "a/b;q=x"])
async def test_a_problem_is_one_whatever_is_accepted(home: Home, accept: str) -> None:
    reply = await home.rest.call("GET", "/v1/sources/nothing", headers={"accept": accept})

    problem(reply, {404, 422})


async def test_a_problem_of_a_head_request_has_no_body(home: Home) -> None:
    reply = await home.rest.call("HEAD", "/v1/nothing")

    assert reply.status_code in {404, 405}
    assert reply.content == b""


async def test_a_problem_says_nothing_back_that_was_secret(home: Home) -> None:
    secret = named("a-secret-that-nobody-should-see")
    bearer = home.town.bearer(secret)
    replies = [
        await bearer.get(SOURCES),
        await home.rest.post(SOURCES, source_wish(scheme="nonsense", secrets=[secret])),
        await home.rest.post(SOURCES, source_wish(secrets=[secret, 7])),
        await home.rest.post("/v1/auth/login", {"email": 7, "password": secret}),
        await home.rest.post("/v1/auth/refresh", {"refresh_token": secret}),
        await home.rest.post("/v1/signup/verify", {"token": secret}),
        await home.rest.get(f"{SOURCES}?access_token={secret}"),
        await home.rest.call("POST", f"/in/{secret}", {}),
    ]

    for reply in replies:
        problem(reply, range(400, 500))
        assert secret not in reply.text
        assert secret not in str(reply.headers)


async def test_odd_input_is_never_a_mishap_of_ours(home: Home, founder: Person) -> None:
    odd = ["\x00", "\ud7ff", "\U0010ffff", "' OR 1=1 --", "${7*7}", "{{7*7}}", "../" * 20, "%s%n"]
    for text in odd:
        for path, body in (
            (SOURCES, source_wish(name=text)),
            ("/v1/roles", {"name": text}),
            ("/v1/invitations", {"email": text, "roles": [text]}),
            ("/v1/api-keys", {"name": text, "permissions": [text]}),
            ("/v1/replays", {"reason": text}),
        ):
            reply = await founder.rest.post(path, body)
            assert reply.status_code < 500, (path, text, reply.text)
            if reply.status_code >= 400:
                problem(reply, range(400, 500))


async def test_webhooks_that_are_refused_have_the_same_problems(house: House) -> None:
    door = await house.door("github")
    paused = await house.door("github")
    await house.rest.post(f"/v1/sources/{paused.source['id']}/pause")
    replies = {
        "unknown-source": await house.anyone.call("POST", "/in/nobody-has-this", {}),
        "signature-missing": await house.anyone.call("POST", door.url, {}),
        "method-not-allowed": await house.anyone.call("PUT", door.url, {}),
        "too-large": await house.anyone.call("POST", door.url, raw=b"x" * 6_000_000),
    }
    for name, reply in replies.items():
        said = reply.json()
        assert said["type"] == f"/problems/{name}"
        assert {"type", "title", "status", "detail", "instance"} <= set(said)
        assert reply.headers["content-type"].startswith("application/problem+json")
        page = await house.anyone.call("GET", said["type"])
        assert page.status == 200, name


@pytest.mark.parametrize(
    "line",
    [
        b"GET /v1/sources HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
        b"GET /v1/sources?limit=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"BREW /v1/sources HTTP/1.1\r\nHost: x\r\n\r\n",
        b"TRACE /v1/sources HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_odd_requests_are_refused_in_the_same_shape(home: Home, line: bytes) -> None:
    async with Wire(home.town.url + "/") as wire:
        await wire.send(line)
        heard = await wire.hear(20)

    assert heard.is_refusal or heard.status == 204, heard.text
    if heard.status:
        head, _, body = heard.text.partition(b"\r\n\r\n")
        assert not body or b"application/problem+json" in head.lower(), heard.text
