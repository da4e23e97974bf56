"""What does not fit is refused, and the answer points at it."""

from typing import Any

import pytest

from tests.acceptance.habits.home import Home, destination_wish, named, source_wish
from tests.acceptance.habits.telling import pointers, problem
from tests.acceptance.identity.problems import ok, told

SOURCES = "/v1/sources"
DESTINATIONS = "/v1/destinations"
KEYS = "/v1/api-keys"
HMAC = {"signature_header": "x-signature"}

BODIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "an unknown field": (SOURCES, source_wish(nonsense=1), "/nonsense"),
    "an unknown field inside": (SOURCES, source_wish(recipe={"nonsense": 1}), "/recipe/nonsense"),
    "an unknown field deep inside": (
        SOURCES,
        source_wish(scheme="hmac", recipe={"hmac": HMAC | {"x": 1}}),
        "/recipe/hmac/x",
    ),
    "a field with a slash and a tilde": (SOURCES, source_wish(**{"a/b~c": 1}), "/a~1b~0c"),
    "a field of no name": (SOURCES, source_wish(**{"": 1}), "/"),
    "nothing where something must be": (SOURCES, {"scheme": "none"}, "/name"),
    "a number for a text": (SOURCES, source_wish(name=7), "/name"),
    "a text for a number": (SOURCES, source_wish(max_body_bytes="7"), "/max_body_bytes"),
    "null for a text": (SOURCES, source_wish(name=None), "/name"),
    "a word that is not on the list": (SOURCES, source_wish(scheme="morse"), "/scheme"),
    "too little": (SOURCES, source_wish(max_body_bytes=0), "/max_body_bytes"),
    "far too much": (SOURCES, source_wish(max_body_bytes=10**40), "/max_body_bytes"),
    "a fraction": (SOURCES, source_wish(max_body_bytes=1.5), "/max_body_bytes"),
    "an empty name": (SOURCES, source_wish(name=""), "/name"),
    "a long name": (SOURCES, source_wish(name="n" * 101), "/name"),
    "a name of two lines": (SOURCES, source_wish(name="a\nb"), "/name"),
    "too many": (SOURCES, source_wish(secrets=["s"] * 11), "/secrets"),
    "one of many": (KEYS, {"name": "k", "permissions": ["sources:read", 7]}, "/permissions/1"),
    "a moment that is none": (
        KEYS,
        {"name": "k", "permissions": ["sources:read"], "expires_at": "tomorrow"},
        "/expires_at",
    ),
    "an address that is none": (DESTINATIONS, destination_wish(url="gopher://x"), "/url"),
    "an id of another kind": (
        DESTINATIONS,
        destination_wish(source_ids=["dst_01h455vb4pex5vsknk084sn02q"]),
        "/source_ids/0",
    ),
    "a time that is too long": (DESTINATIONS, destination_wish(timeout_s=61), "/timeout_s"),
}

QUERIES: dict[str, tuple[str, str]] = {
    "an unknown parameter": ("nonsense=1", "?nonsense"),
    "nothing": ("limit=0", "?limit"),
    "too many": ("limit=201", "?limit"),
    "less than nothing": ("limit=-1", "?limit"),
    "a fraction": ("limit=1.5", "?limit"),
    "no number": ("limit=ten", "?limit"),
    "an empty number": ("limit=", "?limit"),
    "the same twice": ("limit=1&limit=2", "?limit"),
    "a cursor of nobody's": ("cursor=nonsense", "?cursor"),
    "a name in another case": ("Limit=10", "?Limit"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_is_pointed_into(home: Home, name: str) -> None:
    path, body, pointer = BODIES[name]

    reply = await home.rest.post(path, body)

    assert pointers(reply) == [pointer]


@pytest.mark.parametrize("name", QUERIES)
async def test_a_parameter_is_named(home: Home, name: str) -> None:
    query, pointer = QUERIES[name]

    reply = await home.rest.get(f"{SOURCES}?{query}")

    assert pointers(reply) == [pointer]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/events", "received_after=yesterday"),
        ("/v1/events", "source_id=nothing"),
        ("/v1/deliveries", "state=lost"),
        ("/v1/deliveries", "destination_id=src_01h455vb4pex5vsknk084sn02q"),
        ("/v1/dead-letters", "created_before=2026-13-01T00:00:00Z"),
        ("/v1/alerts", "state=closed"),
    ],
)
async def test_a_filter_is_named(home: Home, path: str, query: str) -> None:
    reply = await home.rest.get(f"{path}?{query}")

    assert pointers(reply) == ["?" + query.partition("=")[0]]


async def test_a_path_that_cannot_be_is_not_there(home: Home) -> None:
    for text in ("x", "src_", "src_" + "0" * 26, "dst_01h455vb4pex5vsknk084sn02q", "%20", "null"):
        reply = await home.rest.get(f"{SOURCES}/{text}")
        said = problem(reply, {404, 422})
        if reply.status_code == 422:
            assert [error["pointer"] for error in said["errors"]] == ["{source_id}"]


@pytest.mark.parametrize("value", ["nonsense", "1", '"1', "", '"1" "2"', '"1";', "W/1"])
async def test_a_header_that_cannot_be_read_is_malformed(home: Home, value: str) -> None:
    path = (await home.source()).headers["location"]

    reply = await home.rest.call("PATCH", path, {"name": named("x")}, headers={"if-match": value})

    said = problem(reply, {400, 422})
    assert [error["pointer"].lower() for error in said["errors"]] == ["if-match:"]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
        "application/json, text/plain",
        "text/json",
        "nonsense",
        "",
    ],
)
async def test_a_body_of_another_type_is_not_read(home: Home, content_type: str) -> None:
    wish = source_wish()
    raw = b'{"name":"%s","scheme":"none"}' % wish["name"].encode()

    reply = await home.rest.call("POST", SOURCES, raw=raw, headers={"content-type": content_type})

    problem(reply, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"],
)
async def test_json_is_read_however_it_is_spelt(home: Home, content_type: str) -> None:
    raw = b'{"name":"%s","scheme":"none"}' % named("source").encode()

    reply = await home.rest.call("POST", SOURCES, raw=raw, headers={"content-type": content_type})

    ok(reply, 201)


async def test_a_patch_of_another_patchs_type_is_not_read(home: Home) -> None:
    path = (await home.source()).headers["location"]
    raw = b'[{"op":"replace","path":"/name","value":"x"}]'
    headers = {"content-type": "application/json-patch+json"}

    reply = await home.rest.call("PATCH", path, raw=raw, headers=headers)

    problem(reply, 415)


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"7", b"null", b"true"])
async def test_a_body_that_is_no_object_is_invalid_as_a_whole(home: Home, raw: bytes) -> None:
    headers = {"content-type": "application/json"}

    reply = await home.rest.call("POST", SOURCES, raw=raw, headers=headers)

    assert pointers(reply) == [""]


async def test_what_was_refused_changed_nothing(home: Home) -> None:
    made = await home.source()
    path = made.headers["location"]

    reply = await home.rest.patch(path, {"name": named("renamed"), "nonsense": 1})

    problem(reply, 422, "invalid")
    now = await home.rest.get(path)
    assert ok(now)["name"] == ok(made)["name"]
    assert now.headers["etag"] == made.headers["etag"]


async def test_a_deep_body_is_refused_like_any_other(home: Home) -> None:
    for raw in (b"[" * 100_000, b'{"recipe":' * 5000 + b"1" + b"}" * 5000):
        reply = await home.rest.call(
            "POST", SOURCES, raw=raw, headers={"content-type": "application/json"}
        )
        problem(reply, {400, 422})


@pytest.mark.parametrize("value", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_a_compressed_body_is_not_read(home: Home, value: str) -> None:
    reply = await home.rest.call(
        "POST",
        SOURCES,
        raw=b"\x1f\x8b\x08\x00",
        headers={"content-type": "application/json", "content-encoding": value},
    )

    assert reply.status_code in {400, 415}, told(reply)
    problem(reply, reply.status_code)
