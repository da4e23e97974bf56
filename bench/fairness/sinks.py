"""Receivers of the others: `python -m bench.fairness.sinks` prints its port and goes on.

What is posted to `/hang` is never answered; everything else is, at once.
"""

import asyncio
import sys

import uvloop
from aiohttp import web


async def _take(request: web.Request) -> web.Response:
    await request.read()
    if request.path.startswith("/hang"):
        await asyncio.sleep(3600)
    return web.Response(status=204)


async def _main() -> None:
    app = web.Application()
    app.router.add_post("/{path:.*}", _take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_main())
