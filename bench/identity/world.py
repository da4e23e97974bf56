"""One installation: its servers, the product's gateway, and a bare one on the same database."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg
import msgspec

from bench.identity.bare import URL_VARIABLE
from bench.identity.people import PASSWORD, SLUG, Stored, store
from bench.ingest.world import OURS, Broker, Gateway, Kind, broker_of, keys_of
from crossdock import ids
from crossdock.config import GatewaySettings, Settings
from crossdock.db.migrate import migrate
from crossdock.embedded import EmbeddedPostgres
from crossdock.secrets.seal import Sealer

TENANTS: Final = 10_000
PEOPLE: Final = 16


class World(msgspec.Struct):
    """All that runs, and what was stored."""

    broker: Broker
    ours: Gateway
    bare: Gateway
    stored: Stored
    http: aiohttp.ClientSession

    @property
    def source(self) -> str:
        """The id of the first tenant's source, as the API shows it."""
        return ids.encode("src", self.stored.source_id)

    def url(self, path: str) -> str:
        """Return an address of the product."""
        return f"http://127.0.0.1:{self.ours.port}{path}"

    async def sign_in(self, email: str) -> dict[str, str]:
        """Return a pair of tokens."""
        body = {"email": email, "password": PASSWORD, "tenant": SLUG}
        async with self.http.post(self.url("/v1/auth/login"), json=body) as answer:
            assert answer.ok, await answer.text()
            found: dict[str, str] = await answer.json()
            return found


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[World]:
    """Start everything, and end it."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(folder))
        postgres.ensure_database()
        await migrate(postgres.admin_url(), postgres.settings())
        broker = await broker_of(stack, folder, sync_interval="2m")
        keys = keys_of(broker)
        admin = await asyncpg.connect(postgres.admin_url())
        sealer = Sealer.from_text(keys.sources, setting="key-sources")
        stored = await store(admin, sealer, tenants=TENANTS, people=PEOPLE)
        await admin.execute("ANALYZE")
        await admin.close()
        # The storm comes from many addresses, or the throttles would end it at the door.
        gateway = GatewaySettings(trusted_proxies=("127.0.0.1/32",))
        settings = Settings(database=postgres.settings(), keys=keys, gateway=gateway)
        ours = Gateway(Kind(OURS), broker, folder / "ours.log")
        bare = Gateway(Kind("bench.identity.bare:application"), broker, folder / "bare.log")
        for one in (ours, bare):
            stack.push_async_callback(one.end)
            await one.start(settings, **{URL_VARIABLE: postgres.admin_url()})
        http = await stack.enter_async_context(aiohttp.ClientSession())
        yield World(broker, ours, bare, stored, http)
