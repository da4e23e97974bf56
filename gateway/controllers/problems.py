"""`/problems`: what the types of problems mean, for whoever follows one."""

from typing import Final

from litestar import Controller, Response, get

from crossdock.errors import NotFound
from gateway.problems.pages import INDEX_PAGE, PAGES
from gateway.wire import Id

HTML: Final = "text/html"
CACHE: Final = "public, max-age=3600"


class ProblemController(Controller):
    """Problem types: pages for people, so they are no part of the API's document."""

    path = "/problems"
    include_in_schema = False

    @get("/", public=True, unmetered=True, media_type=HTML)
    async def list_problem_types(self) -> Response[bytes]:
        """Show all types of problems."""
        return _page(INDEX_PAGE)

    @get("/{name:str}", public=True, unmetered=True, media_type=HTML)
    async def get_problem_type(self, name: Id) -> Response[bytes]:
        """Show what a type of problem means, and what to do about it."""
        page = PAGES.get(name)
        if page is None:
            raise NotFound
        return _page(page)


def _page(text: bytes) -> Response[bytes]:
    return Response(text, media_type=HTML, headers={"Cache-Control": CACHE})
