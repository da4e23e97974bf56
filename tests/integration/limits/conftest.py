"""Two gateway processes on one port, whose limits are small enough to be reached."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import httpx
import pytest

from crossdock import native
from crossdock.config import LimitSettings, Settings
from tests.beds.limits import ADDRESS_BURST, Door, stranger
from tests.beds.served import connected, served
from tests.faults.waiting import until
from tests.integration.rest.conftest import (
    Caller,
    admin,
    app,
    connect,
    crowd,
    database,
    identity,
    new_tenant,
)

CONNECTIONS: Final = 20
TRIES: Final = 100

__all__ = ["admin", "app", "connect", "crowd", "database", "identity", "new_tenant"]


@pytest.fixture(scope="module")
async def gateway(settings: Settings) -> AsyncIterator[str]:
    """The gateway; which address a request comes from, its `X-Forwarded-For` says."""
    limits = LimitSettings(
        address_per_minute=ADDRESS_BURST, address_burst=ADDRESS_BURST, key_per_minute=10_000
    )
    async with served(
        settings,
        limits,
        processes=2,
        trusted_proxies=("127.0.0.1/32",),
        cors_origins=("https://console.example",),
    ) as url:
        await until(lambda: len(connected(url)) == 2, "two processes")
        yield url


@pytest.fixture
async def http(gateway: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client at an address of its own, with connections to both processes.

    Whichever process is awake takes a connection, and on a busy machine that may be one for all of
    them: then another client tries.
    """
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    for _ in range(TRIES):
        async with httpx.AsyncClient(
            base_url=gateway, trust_env=False, timeout=20, headers=stranger(), limits=limits
        ) as client:
            await asyncio.gather(*(client.get("/health/live") for _ in range(CONNECTIONS)))
            if all(connected(gateway).values()):
                yield client
                return
    pytest.fail("One process took all connections, again and again.")


@pytest.fixture
async def tenant(new_tenant: Callable[..., Awaitable[Caller]]) -> Caller:
    """A tenant of this test's own, on the plan that tenants have unless told."""
    return await new_tenant()


@pytest.fixture
async def door(http: httpx.AsyncClient, tenant: Caller) -> Callable[..., Awaitable[Door]]:
    """Makes sources."""

    async def make(**fields: Any) -> Door:
        secret = native.generate_secret("stripe")
        wish = {"name": secret[-20:], "scheme": "stripe", "secrets": [secret]} | fields
        answer = await http.post("/v1/sources", json=wish, headers=bearer(tenant.key))
        assert answer.status_code == 201, answer.text
        return Door(answer.json(), secret)

    return make


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}
