"""The demo's tenant: sources of several schemes, and three destinations of different temper.

Made through the command line and the REST API, as a user would.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from crossdock import native
from crossdock.demo.receiver import BROKEN, MOODY, STEADY, Receiver
from crossdock.errors import CrossdockError

SCHEMES: Final = ("stripe", "github", "slack", "shopify", "standard")
MOODY_SCHEME: Final = "slack"
BROKEN_SCHEME: Final = "shopify"
QUICK_RETRIES: Final = {"delays_s": [1.0, 1.0, 2.0]}
"""Production's first wait is 5 s and its last 24 h; nobody watches a demo that long."""


class DemoFailedError(CrossdockError):
    """The demo did not end as it should."""


class Tenant(msgspec.Struct, frozen=True):
    """What `crossdock tenant create --json` prints, as far as the demo needs it."""

    id: str
    api_key: str


async def create_tenant(data: Path) -> Tenant:
    """Make the demo's tenant by the command line, as an operator would."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "crossdock.cli.app"),
        *("tenant", "create", "demo", "--json", "--data", str(data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate()
    if process.returncode != 0:
        raise DemoFailedError(f"The tenant was not made: {complaint.decode()}")
    return msgspec.json.decode(out, type=Tenant)


class Api:
    """The REST API with the demo tenant's key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"})

    async def get(self, path: str, **query: str) -> Any:
        """Return the decoded answer of a GET."""
        return await self._call("GET", path, params=query)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the decoded answer of a POST."""
        key = {"Idempotency-Key": os.urandom(16).hex()}
        return await self._call("POST", path, json=body, headers=key)

    async def every(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Return all items of a list, page by page."""
        items: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self.get(
                path, limit="200", **query, **({"cursor": cursor} if cursor else {})
            )
            items += page["items"]
            cursor = page["next_cursor"] or ""
            if not cursor:
                return items

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        async with self._session.request(method, self._url + path, **options) as answer:
            text = await answer.read()
            if not answer.ok:
                raise DemoFailedError(f"{method} {path}: {answer.status} {text[:500].decode()}")
            return msgspec.json.decode(text)


class Scenario(msgspec.Struct, frozen=True):
    """What was set up."""

    urls: dict[str, str]
    """Scheme -> its source's ingest URL."""
    secrets: dict[str, str]
    """Scheme -> its source's secret."""
    destinations: dict[str, str]
    """Receiver's path -> the destination's id."""


async def set_up(api: Api, receiver: Receiver) -> Scenario:
    """Make the sources and destinations."""
    urls: dict[str, str] = {}
    ids: dict[str, str] = {}
    secrets = {scheme: native.generate_secret(scheme) for scheme in SCHEMES}
    for scheme in SCHEMES:
        body = {"name": f"demo {scheme}", "scheme": scheme, "secrets": [secrets[scheme]]}
        source = await api.post("/v1/sources", body)
        urls[scheme], ids[scheme] = source["ingest_url"], source["id"]
    wanted: dict[str, list[str]] = {
        STEADY: [],
        MOODY: [ids[MOODY_SCHEME]],
        BROKEN: [ids[BROKEN_SCHEME]],
    }
    destinations: dict[str, str] = {}
    for path, source_ids in wanted.items():
        wish: dict[str, Any] = {
            "name": path.strip("/"),
            "url": receiver.url + path,
            "source_ids": source_ids,
            "retry": QUICK_RETRIES,
        }
        if path != STEADY:
            # A breaker would let them rest after five failures; here each event is to fail by
            # itself, as often as its temper says, while somebody watches.
            wish["breaker"] = "off"
        destination = await api.post("/v1/destinations", wish)
        receiver.expect(path, destination["secret"])
        destinations[path] = destination["id"]
    return Scenario(urls, secrets, destinations)
