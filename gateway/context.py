"""What a request leaves behind: nothing.

A server gives each request a context of its own today; nothing in ASGI promises it, and a test's
transport runs requests in the test's own task. So what a request binds is undone at its end.
"""

from typing import Final

import structlog
from litestar.types import ASGIApp, Receive, Scope, Send

from crossdock import context, ids
from gateway import large

_NAMES: Final = ("request", "tenant")


class Scoped:
    """Middleware around everything that knows a request's caller."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that begins as nobody's, and is forgotten when it is answered."""
        with context.bound(None):
            structlog.contextvars.unbind_contextvars(*_NAMES)
            structlog.contextvars.bind_contextvars(request=ids.new().hex)
            try:
                await self._app(scope, receive, send)
            finally:
                large.done(scope)
                structlog.contextvars.unbind_contextvars(*_NAMES)
