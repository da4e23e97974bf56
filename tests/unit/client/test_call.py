"""What is sent for a call."""

from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import UNSET

from crossdock.client import Client, Retry, UnexpectedAnswer
from crossdock.client.call import Call, Course, at, members
from crossdock.client.models import Source

SOURCE = {
    "id": "src_1",
    "name": "payments",
    "preset": None,
    "scheme": "stripe",
    "state": "active",
    "pause_mode": None,
    "recipe": {"dedupe": ["/id"]},
    "secrets": [{"id": "aaaaaaaa", "ends_at": None}],
    "ingest_url": "http://api/in/t",
    "max_body_bytes": 100,
    "webhooks_per_minute": None,
    "content_types": [],
    "indexed_fields": ["/id"],
    "encrypts": False,
    "created_at": "2026-01-02T03:04:05.000006Z",
    "updated_at": "2026-01-02T03:04:05Z",
}


def request(call: Call[Any], token: str | None = None) -> httpx.Request:
    with httpx.Client(base_url="http://api/base") as http:
        return Course(call, Retry()).request(http, token)


def result(body: object, **headers: str) -> Source:
    course = Course(Call("GET", "/v1/sources/src_1", Source), Retry())
    return course.result(httpx.Response(200, content=msgspec.json.encode(body), headers=headers))


def test_an_id_stays_one_segment_of_the_path() -> None:
    assert at("/v1/sources/{}/secrets/{}", "src_1", "a") == "/v1/sources/src_1/secrets/a"
    assert at("/v1/sources/{}", "a/b?c#d é") == "/v1/sources/a%2Fb%3Fc%23d%20%C3%A9"


@pytest.mark.parametrize("text", ["", ".", ".."])
def test_an_id_that_would_call_another_path_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no id"):
        at("/v1/sources/{}", text)


def test_what_was_left_out_of_a_body_is_left_out_and_null_is_sent() -> None:
    assert members(name="a", recipe=None, secret=UNSET) == {"name": "a", "recipe": None}


def test_a_request_says_all_that_was_asked() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    found = request(
        Call("GET", "/v1/events", bytes, query={"limit": 5, "cursor": None, "after": moment}),
        "a-token",
    )
    assert (
        str(found.url)
        == "http://api/base/v1/events?limit=5&after=2026-01-02T00%3A00%3A00%2B00%3A00"
    )
    assert found.headers["authorization"] == "Bearer a-token"
    assert "idempotency-key" not in found.headers
    assert "if-match" not in found.headers
    assert "content-type" not in found.headers
    patch = request(
        Call(
            *("PATCH", "/v1/sources/src_1", Source),
            body={"name": "new"},
            media_type="application/merge-patch+json",
            if_match='"3"',
        )
    )
    assert patch.headers["content-type"] == "application/merge-patch+json"
    assert patch.headers["if-match"] == '"3"'
    assert patch.content == b'{"name":"new"}'
    assert "authorization" not in patch.headers


def test_a_key_is_made_where_one_is_taken_and_another_for_each_call() -> None:
    call = Call("POST", "/v1/sources", Source, takes_key=True)
    keys = {request(call).headers["idempotency-key"] for _ in range(20)}
    assert len(keys) == 20
    assert all(key[0] == key[-1] == '"' and len(key) == 34 for key in keys)
    own = msgspec.structs.replace(call, key="order-17")
    assert request(own).headers["idempotency-key"] == '"order-17"'


def test_an_answer_has_the_version_that_it_came_with() -> None:
    found = result(SOURCE, etag='"7"')
    assert (found.name, found.etag) == ("payments", '"7"')
    assert found.created_at == datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert result(SOURCE).etag is None


def test_a_newer_servers_answer_is_understood() -> None:
    newer = SOURCE | {"state": "a-new-state", "scheme": "a-new-one", "colour": "blue"}
    assert result(newer).state == "a-new-state"


@pytest.mark.parametrize("body", [[], {"id": 1}, "text", {}])
def test_an_answer_of_something_else_is_told(body: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="/v1/sources/src_1"):
        result(body)


def test_an_address_must_be_one_of_http() -> None:
    for text in ("hooks.example.com", "ftp://a", "", "http://"):
        with pytest.raises(ValueError, match="no address"):
            Client(text)


@pytest.mark.parametrize("token", ["", "se cret", "secret\n", "secret\x00", "secrét"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="The token") as caught:
        Client("http://api", token)
    assert "secr" not in str(caught.value)
    with Client("http://api") as client, pytest.raises(ValueError, match="The token"):
        client.with_token(token)


@pytest.mark.parametrize("key", ["", "k" * 256, 'a"b', "a\\b", "a b", "a\r\nb", "é"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    call = Call("POST", "/v1/sources", Source, takes_key=True, key=key)
    with pytest.raises(ValueError, match="A key has"):
        request(call)
