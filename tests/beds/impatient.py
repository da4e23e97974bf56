"""The real server in front of next to nothing, with little patience: a program of its own."""

from typing import Final

from crossdock import config, process
from gateway import server
from gateway.asgi import Application, Receive, Scope, Send, answer

PATIENCE_MS: Final = 1_000
_DONE: Final = answer(200, "text/plain", b"done")


def application() -> Application:
    """Return what answers at once."""
    process.die_with_parent()
    return _answer


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await _DONE.send_to(send)


if __name__ == "__main__":
    process.die_with_parent()
    server.HEADER_READ_TIMEOUT_MS = PATIENCE_MS  # type: ignore[misc]
    server.run(config.load(), application="tests.beds.impatient:application")
