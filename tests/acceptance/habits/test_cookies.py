"""A console's session in cookies: no script can read it, no other page can use it."""

from http.cookies import SimpleCookie
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.acceptance.habits.home import Home, source_wish
from tests.acceptance.habits.telling import problem
from tests.acceptance.identity.people import Person
from tests.acceptance.identity.problems import ok, told

LOGIN: Final = "/v1/auth/login"
SOURCES: Final = "/v1/sources"
ME: Final = "/v1/auth/me"
ACCESS: Final = "__Host-crossdock"
REFRESH: Final = "__Host-crossdock-refresh"


class Browser(NamedTuple):
    """One that is signed in."""

    person: Person
    cookies: dict[str, str]
    csrf: str

    @property
    def cookie(self) -> str:
        """The header that it sends with everything."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        """Ask as a page of ours would, with other headers where they are given."""
        sent = {"cookie": self.cookie, "origin": self.person.town.url}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.person.town.anyone().call(method, path, body, headers=sent)


def morsels(reply: httpx.Response) -> dict[str, Any]:
    """Return the cookies that an answer sets."""
    found: SimpleCookie = SimpleCookie()
    for header in reply.headers.get_list("set-cookie"):
        found.load(header)
    return dict(found)


async def sign_in(person: Person, **headers: str) -> httpx.Response:
    """Sign in as a browser does."""
    body = {"email": person.email, "password": person.password, "tenant": person.slug}
    sent = {"origin": person.town.url} | headers
    return await person.town.anyone().call("POST", LOGIN, body | {"cookie": True}, headers=sent)


async def open_browser(person: Person) -> Browser:
    """Return one that is signed in."""
    reply = await sign_in(person)
    said = ok(reply, 200)
    cookies = {name: morsel.value for name, morsel in morsels(reply).items()}
    return Browser(person, cookies, said["csrf_token"])


@pytest.fixture(scope="module")
async def browser(founder: Person) -> Browser:
    """One session that no test ends."""
    return await open_browser(founder)


async def test_a_browsers_tokens_are_in_cookies_that_no_script_reads(founder: Person) -> None:
    reply = await sign_in(founder)

    said = ok(reply, 200)
    assert not {"access_token", "refresh_token"} & {k for k, v in said.items() if v}
    assert said["csrf_token"]
    made = morsels(reply)
    assert set(made) == {ACCESS, REFRESH}
    for morsel in made.values():
        assert morsel.value not in reply.text
        assert morsel["secure"]
        assert morsel["httponly"]
        assert morsel["samesite"].lower() == "strict"
        assert morsel["path"] == "/"
        assert not morsel["domain"]
    assert reply.headers["cache-control"] == "no-store"


async def test_a_program_gets_no_cookies(founder: Person) -> None:
    reply = await founder.try_login()

    assert "set-cookie" not in reply.headers
    assert ok(reply, 200)["access_token"]


async def test_a_cookie_opens_what_the_person_may_see(browser: Browser) -> None:
    reply = await browser.call("GET", ME)

    assert ok(reply, 200)["actor"]["email"] == browser.person.email


async def test_a_change_wants_the_token_too(browser: Browser) -> None:
    wish = source_wish()

    for odd in ("", "nonsense", browser.csrf[:-1], browser.csrf + "0"):
        reply = await browser.call("POST", SOURCES, wish, x_csrf_token=odd)
        problem(reply, 403)
    problem(await browser.call("POST", SOURCES, wish), 403)
    ok(await browser.call("POST", SOURCES, wish, x_csrf_token=browser.csrf), 201)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "https://evil.example"},
    ],
)
async def test_another_sites_page_changes_nothing(
    browser: Browser, headers: dict[str, str]
) -> None:
    reply = await browser.call("POST", SOURCES, source_wish(), x_csrf_token=browser.csrf, **headers)

    problem(reply, 403)


async def test_a_token_is_of_one_session(browser: Browser, founder: Person) -> None:
    other = await open_browser(founder)
    assert other.csrf != browser.csrf

    problem(await browser.call("POST", SOURCES, source_wish(), x_csrf_token=other.csrf), 403)


async def test_who_shows_a_credential_needs_no_token(home: Home, browser: Browser) -> None:
    reply = await home.rest.call("POST", SOURCES, source_wish(), headers={"cookie": browser.cookie})

    # It is the credential's source, not the cookie's.
    made = ok(reply, 201)
    ok(await home.rest.get(f"{SOURCES}/{made['id']}"), 200)
    problem(await browser.call("GET", f"{SOURCES}/{made['id']}"), 404)


async def test_a_bad_credential_is_not_made_good_by_a_cookie(browser: Browser) -> None:
    for odd in ("Bearer nonsense", "Basic eDp5", "Bearer", ""):
        problem(await browser.call("GET", ME, authorization=odd), 401)


@pytest.mark.parametrize("odd", ["", "nonsense", "a.b.c", "x" * 5000])
async def test_a_cookie_that_is_none_opens_nothing(founder: Person, odd: str) -> None:
    browser = Browser(founder, {ACCESS: odd, REFRESH: odd}, "x")

    problem(await browser.call("GET", ME), 401)


async def test_an_access_token_as_refresh_cookie_is_none(founder: Person) -> None:
    browser = await open_browser(founder)
    swapped = browser._replace(cookies={REFRESH: browser.cookies[ACCESS]})

    reply = await swapped.call("POST", "/v1/auth/refresh", x_csrf_token=browser.csrf)

    assert reply.status_code in {400, 401, 403, 415, 422}, told(reply)
    problem(await swapped.call("GET", ME), 401)


async def test_a_sign_in_from_another_site_is_none(founder: Person) -> None:
    reply = await sign_in(founder, origin="https://evil.example")

    problem(reply, 403)
    assert "set-cookie" not in reply.headers


async def test_a_refresh_by_cookie_gives_the_next_ones(founder: Person) -> None:
    browser = await open_browser(founder)

    reply = await browser.call("POST", "/v1/auth/refresh", {}, x_csrf_token=browser.csrf)

    ok(reply, 200)
    later = morsels(reply)
    assert later[ACCESS].value
    assert later[REFRESH].value != browser.cookies[REFRESH]
    cookies = {name: morsel.value for name, morsel in later.items()}
    ok(await browser._replace(cookies=cookies).call("GET", ME), 200)


async def test_a_sign_out_takes_the_cookies_away(founder: Person) -> None:
    browser = await open_browser(founder)
    problem(await browser.call("POST", "/v1/auth/logout"), 403)

    reply = await browser.call("POST", "/v1/auth/logout", x_csrf_token=browser.csrf)

    assert reply.status_code == 204, told(reply)
    for name, morsel in morsels(reply).items():
        assert name in {ACCESS, REFRESH}
        assert morsel.value == ""
        assert morsel["max-age"] == "0"
    assert set(morsels(reply)) == {ACCESS, REFRESH}
