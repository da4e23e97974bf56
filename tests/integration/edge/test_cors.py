"""Pages of other origins, on the served gateway."""

import httpx
import pytest

from crossdock.config import Settings
from tests.beds.served import served
from tests.integration.edge.conftest import CONSOLE

ASKING = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,idempotency-key",
}
EVIL = "https://evil.example"


async def test_a_page_asks_before_it_calls(http: httpx.AsyncClient) -> None:
    answer = await http.options("/v1/sources", headers=ASKING | {"origin": CONSOLE})

    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == CONSOLE
    assert "POST" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key", "if-match"} <= set(allowed)
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/sources", "/nowhere", "/health/live", "/v1/auth/login"])
async def test_a_page_reads_the_answer_whatever_it_is(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"origin": CONSOLE})

    assert answer.headers["access-control-allow-origin"] == CONSOLE
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    for name in ("etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "link"):
        assert name in exposed
    assert "idempotency-replayed" in exposed
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("path", ["/v1/sources", "/nowhere"])
async def test_pages_of_other_origins_may_not(http: httpx.AsyncClient, path: str) -> None:
    for answer in (
        await http.options(path, headers=ASKING | {"origin": EVIL}),
        await http.get(path, headers={"origin": EVIL}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "Origin" in answer.headers["vary"]


async def test_webhooks_are_no_business_of_pages(http: httpx.AsyncClient) -> None:
    answer = await http.options("/in/" + "0" * 32, headers=ASKING | {"origin": CONSOLE})

    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


async def test_an_origin_that_is_none_is_told_when_starting(settings: Settings) -> None:
    with pytest.raises(AssertionError, match="CROSSDOCK_GATEWAY__CORS_ORIGINS"):
        async with served(settings, cors_origins=("https://console.example/",)):
            pass
