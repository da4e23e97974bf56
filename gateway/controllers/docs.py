"""`/docs`: the API's document for people, in Swagger UI and in Redoc."""

import asyncio
from typing import Final

from litestar import Controller, Response, get

from crossdock.errors import NotFound
from gateway.openapi import pages
from gateway.wire import Id

HTML: Final = "text/html"
CACHE: Final = "public, max-age=3600"


class DocsController(Controller):
    """Pages for people, so they are no part of the document itself."""

    path = "/docs"
    include_in_schema = False

    @get("/", public=True, media_type=HTML)
    async def show_swagger(self) -> Response[bytes]:
        """Show the document in Swagger UI."""
        return _page(pages.SWAGGER)

    @get("/redoc", public=True, media_type=HTML)
    async def show_redoc(self) -> Response[bytes]:
        """Show the document in Redoc."""
        return _page(pages.REDOC)

    @get("/assets/{name:str}", public=True, media_type=pages.SCRIPT)
    async def get_docs_asset(self, name: Id) -> Response[bytes]:
        """Return a file that these pages need."""
        found = await asyncio.to_thread(pages.asset, name)
        if found is None:
            raise NotFound
        body, media_type = found
        return Response(body, media_type=media_type, headers={"Cache-Control": CACHE})


def _page(text: bytes) -> Response[bytes]:
    headers = {"Cache-Control": CACHE, "Content-Security-Policy": pages.POLICY}
    return Response(text, media_type=HTML, headers=headers)
