"""Where the document is served, and what it says of the whole API."""

from typing import Any, Final

import msgspec
from litestar import Request, Router
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, Contact, License, SecurityScheme, Server

import crossdock
from gateway.openapi import document
from gateway.openapi.handlers import operation_id
from gateway.openapi.operations import ACCESS_TOKEN, API_KEY

PATH: Final = "/schema"

_DESCRIPTION: Final = """\
Send `Authorization: Bearer` with an API key or an access token. Each operation says what it needs.

**Errors** are problem details (RFC 9457). `type` is stable, it is what programs compare, and
[a page](/problems) says what each one means.

**Lists** are newest first. Give `next_cursor` back as `cursor`, with the same filters.

**Changes** may be conditional: send the `ETag` that was read as `If-Match`. PATCH takes a JSON
merge patch (RFC 7396).

**Repeating** is safe with an `Idempotency-Key`: the effect comes once, and the answer again, with
`Idempotency-Replayed`.

**Limits** are told in every answer by `RateLimit-Policy` and `RateLimit`; after a 429, wait for
`Retry-After`.
"""


def config() -> OpenAPIConfig:
    """Return the settings of the document; it is served to anybody, for it holds no secrets."""
    return OpenAPIConfig(
        title="Crossdock",
        version=crossdock.__version__,
        summary="Webhooks in, durable, and on to where they are wanted.",
        description=_DESCRIPTION,
        contact=Contact(name="The Crossdock authors"),
        license=License(name="Apache License 2.0", identifier="Apache-2.0"),
        servers=[Server(url="/", description="Where this document is.")],
        use_handler_docstrings=True,
        operation_id_creator=operation_id,
        security=[{API_KEY: []}, {ACCESS_TOKEN: []}],
        components=Components(
            security_schemes={
                API_KEY: SecurityScheme(
                    type="http", scheme="bearer", description="An API key: `cdk_…`."
                ),
                ACCESS_TOKEN: SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="An access token: of somebody signed in, or of support access. A"
                    " browser's session may have it in the cookie `__Host-crossdock`, and sends"
                    " `X-CSRF-Token` with what changes something.",
                ),
            },
        ),
        openapi_router=Router(
            PATH,
            route_handlers=[],
            include_in_schema=False,
            opt={"public": True},
            guards=[_nothing_below],
        ),
        render_plugins=[_Document(path=["/", "/openapi.json"])],
    )


class _Document(JsonRenderPlugin):
    """The document as JSON, made once."""

    _text: bytes | None = None

    def render(self, request: Request[Any, Any, Any], _openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        if self._text is None:
            self._text = msgspec.json.encode(document.assemble(request.app))
        return self._text


def _nothing_below(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Answer for unknown paths below the document, which Litestar would answer in HTML."""
    if connection.path_params:
        raise NotFoundException
