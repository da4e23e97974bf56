"""A GET of one source with nothing around it: no token, no tenant to enter, no policies."""

import os
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Litestar, get
from litestar.params import PathParameter
from sqlalchemy import make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from crossdock.inbound.tables import sources
from crossdock.memory import settle_memory
from gateway.controllers.sources import SourceOut

URL_VARIABLE: Final = "CROSSDOCK_BENCH_ADMIN"


def application() -> Litestar:
    """Return it: the same server, framework, driver, row and answer as the product's."""
    url = make_url(os.environ[URL_VARIABLE]).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, pool_size=8, max_overflow=0)
    settle_memory()

    @get("/v1/sources/{source_id:str}")
    async def read(source_id: Annotated[str, PathParameter()]) -> SourceOut:
        return _shown(await _row(engine, UUID(source_id)))

    return Litestar([read], openapi_config=None, logging_config=None)


async def _row(engine: AsyncEngine, source_id: UUID) -> dict[str, Any]:
    """Read one source, as a superuser: no policy is looked at."""
    async with engine.begin() as conn:
        found = await conn.execute(select(sources).where(sources.c.id == source_id))
        return dict(found.mappings().one())


def _shown(row: dict[str, Any]) -> SourceOut:
    return SourceOut(
        id=str(row["id"]),
        name=row["name"],
        preset=None,
        pause_mode=None,
        content_types=(),
        indexed_fields=(),
        encrypts=False,
        scheme=row["scheme"],
        state=row["state"],
        recipe=row["recipe"],
        secrets=[],
        ingest_url="",
        max_body_bytes=row["max_body_bytes"],
        webhooks_per_minute=row["webhooks_per_minute"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
