"""Sources that take bodies of some types only."""

import time

import httpx
import pytest

from crossdock.bus import Bus
from tests.integration.ingest.conftest import Source, Sources, events

SECRET = "whsec_" + "5ba1e0f2" * 8
BODY = b'{"id":"evt_1","type":"charge.succeeded"}'
JSON = ("application/json",)


@pytest.fixture
def picky(sources: Sources) -> Source:
    return sources.add("stripe", SECRET, content_types=JSON)


@pytest.mark.parametrize(
    "said",
    ["application/json", "Application/JSON; charset=utf-8", " application/json ;a=b"],
    ids=["plain", "with a parameter", "with spaces"],
)
async def test_what_is_of_the_type_is_taken(
    http: httpx.AsyncClient, picky: Source, said: str
) -> None:
    headers = picky.signed(BODY, time.time()) | {"content-type": said}

    assert (await http.post(f"/in/{picky.token}", content=BODY, headers=headers)).status_code == 202


@pytest.mark.parametrize(
    "said",
    [["text/plain"], [], ["application/json", "text/plain"], ["application/jsonp"], [""]],
    ids=["another", "none", "two", "longer", "empty"],
)
async def test_what_is_not_is_told_what_would_be(
    http: httpx.AsyncClient, bus: Bus, picky: Source, said: list[str]
) -> None:
    headers = [*picky.signed(BODY, time.time()).items(), *(("content-type", one) for one in said)]

    answer = await http.post(f"/in/{picky.token}", content=BODY, headers=headers)

    assert answer.status_code == 415
    assert answer.json()["type"] == "/problems/unsupported-media-type"
    assert "application/json" in answer.json()["detail"]
    assert not await events(bus)


async def test_a_handshake_without_a_body_has_no_type(
    http: httpx.AsyncClient, bus: Bus, sources: Sources
) -> None:
    source = sources.add(
        "hmac",
        "secret",
        recipe={"hmac": {"signature_header": "x-signature"}},
        content_types=JSON,
    )
    query, plain = {"validationToken": "Validation: 42"}, {"content-type": "text/plain"}

    answer = await http.post(f"/in/{source.token}", params=query, headers=plain)
    body = await http.post(f"/in/{source.token}", params=query, headers=plain, content=b"x")

    assert (answer.status_code, answer.text) == (200, "Validation: 42")
    assert body.status_code == 415
    assert not await events(bus)
