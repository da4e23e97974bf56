"""How long a page of newest events takes over HTTP, with each filter."""

import random
import statistics
import time
from typing import Final

import httpx

from bench.api.world import World
from bench.events.filling import POINTER, fill
from crossdock import ids
from crossdock.client import AsyncClient

ROUNDS: Final = 200


async def measure(world: World, few: int, many: int) -> dict[str, tuple[float, float]]:
    """Return the median of a page in ms, by filter: with few events, and with many."""
    async with AsyncClient(world.url, world.key) as client:
        tenant = (await client.tenant.get()).id
        sources = [(await client.sources.create(name=f"s{n}", scheme="none")).id for n in range(10)]
    tenant_id = ids.decode("ten", tenant)
    named = [ids.decode("src", one) for one in sources]
    await world.admin.execute(
        "UPDATE crossdock.sources SET indexed_fields = ARRAY[$1] WHERE id = $2", POINTER, named[0]
    )
    filters = {
        "newest": "",
        "source": f"source_id={sources[3]}",
        "type": "event_type=type.7",
        "status": "status=quarantined",
        "field": f"payload={POINTER}%3Dcus_77",
        "source and type": f"source_id={sources[3]}&event_type=type.3",
    }
    taken = []
    for count in (few, many):
        await world.admin.execute("TRUNCATE crossdock.events, crossdock.event_fields")
        await fill(world.admin, tenant_id, named, count)
        taken.append(await _pages(world, filters))
    return {name: (taken[0][name], taken[1][name]) for name in filters}


async def _pages(world: World, filters: dict[str, str]) -> dict[str, float]:
    headers = {"Authorization": f"Bearer {world.key}"}
    took: dict[str, list[float]] = {name: [] for name in filters}
    async with httpx.AsyncClient(base_url=world.url, headers=headers, trust_env=False) as http:
        for turn in range(ROUNDS + 20):
            for name in random.sample(list(filters), len(filters)):
                began = time.perf_counter()
                answer = await http.get(f"/v1/events?{filters[name]}")
                spent = time.perf_counter() - began
                assert answer.status_code == 200, answer.text
                # With ten thousand events a thousand customers have ten each.
                assert answer.json()["items"], name
                if turn >= 20:
                    took[name].append(spent * 1000)
    return {name: statistics.median(spent) for name, spent in took.items()}
