"""The pages of the document: for anybody, and with nothing from elsewhere."""

import re
from html.parser import HTMLParser

import httpx
import pytest

PAGES = ("/docs", "/docs/redoc")
ELSEWHERE = re.compile(rb"cdn\.|googleapis|gstatic|unpkg|jsdelivr")


class Loaded(HTMLParser):
    """What a page has a browser load, and the scripts that stand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.addresses += [value for name in ("src", "href") if (value := found.get(name))]
        self.inline += [name for name in found if name.startswith("on") or name == "style"]
        self._is_script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._is_script and data.strip():
            self.inline.append(data)


def loaded(page: httpx.Response) -> Loaded:
    found = Loaded()
    found.feed(page.text)
    return found


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_needs_nothing_from_elsewhere(anonymous: httpx.AsyncClient, path: str) -> None:
    page = await anonymous.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    addresses = loaded(page).addresses
    assert len(addresses) >= 4
    for address in addresses:
        assert re.match("/(?!/)", address), address
        answer = await anonymous.get(address)
        assert answer.status_code == 200, address
        assert not ELSEWHERE.search(answer.content), address


@pytest.mark.parametrize("path", PAGES)
async def test_its_policy_runs_only_scripts_of_ours(
    anonymous: httpx.AsyncClient, path: str
) -> None:
    page = await anonymous.get(path)
    policy = dict(
        rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert not loaded(page).inline
    assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_shows_the_document_of_this_gateway(
    anonymous: httpx.AsyncClient, path: str
) -> None:
    scripts = [
        address for address in loaded(await anonymous.get(path)).addresses if ".js" in address
    ]
    starting = (await anonymous.get(scripts[-1])).text
    address = re.search(r'"(/[^"]+)"', starting)
    assert address is not None
    assert (await anonymous.get(address[1])).json()["openapi"].startswith("3.1")


@pytest.mark.parametrize(
    "name", ["index.html", "..%2Fpages.py", "%2Fetc%2Fpasswd", "%2E%2E", "nothing.js"]
)
async def test_there_are_no_other_files(anonymous: httpx.AsyncClient, name: str) -> None:
    answer = await anonymous.get(httpx.URL("http://api", raw_path=f"/docs/assets/{name}".encode()))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_assets_have_their_own_types(anonymous: httpx.AsyncClient) -> None:
    for name, kind in (
        ("swagger-ui.css", "text/css; charset=utf-8"),
        ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("favicon-32x32.png", "image/png"),
        ("logo-mini.svg", "image/svg+xml"),
    ):
        answer = await anonymous.get(f"/docs/assets/{name}")
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == "public, max-age=3600"
