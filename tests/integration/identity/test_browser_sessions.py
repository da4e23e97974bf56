"""Sessions in cookies: opened, used, gone on with and closed by our own pages, and by no others."""

from http.cookies import SimpleCookie
from typing import Any, Final, NamedTuple

import httpx
import pytest

from gateway.cookies import ACCESS, REFRESH
from tests.beds.signing_in import PASSWORD, Person, SigningInBed, new_address

OURS: Final = {"origin": "http://127.0.0.1"}
"""The origin of the public address that these settings name."""
ROLE: Final = {"name": "auditors", "permissions": ["audit:read"]}


class Browser(NamedTuple):
    """A browser with a page of ours."""

    bed: SigningInBed
    cookies: dict[str, str]
    csrf: str

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str | bytes | None
    ) -> httpx.Response:
        """Ask for something as a page of ours would, but for what is named."""
        sent: dict[str, Any] = {"cookie": self.cookie, "x-csrf-token": self.csrf, **OURS}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in sent.items() if value is not None}
        return await self.bed.request(method, path, body, headers=kept)

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def after(self, answer: httpx.Response) -> "Browser":
        """Return it with what an answer gave."""
        assert answer.status_code == 200, answer.text
        kept = {name: morsel.value for name, morsel in cookies_of(answer).items()}
        return Browser(self.bed, kept, answer.json()["csrf_token"])


def cookies_of(answer: httpx.Response) -> SimpleCookie:
    """Return the cookies that an answer sets."""
    found: SimpleCookie = SimpleCookie()
    for text in answer.headers.get_list("set-cookie"):
        found.load(text)
    return found


def body(person: Person, **more: Any) -> dict[str, Any]:
    return {"email": person.email, "password": PASSWORD, "tenant": person.slug, **more}


async def sign_in(person: Person, headers: dict[str, Any] = OURS) -> httpx.Response:
    wish = body(person, cookie=True)
    return await person.bed.request(
        "POST", "/v1/auth/login", wish, address=person.address, headers=headers
    )


async def opened(person: Person) -> Browser:
    return Browser(person.bed, {}, "").after(await sign_in(person))


async def test_the_tokens_are_in_cookies_that_only_this_host_reads(ann: Person) -> None:
    answer = await sign_in(ann)

    assert answer.status_code == 200
    assert set(answer.json()) == {
        "csrf_token",
        "expires_in",
        "refresh_expires_at",
        "session_id",
    }
    assert answer.headers["cache-control"] == "no-store"
    found = cookies_of(answer)
    assert set(found) == {ACCESS, REFRESH}
    for morsel in found.values():
        assert (morsel["path"], morsel["domain"]) == ("/", "")
        assert morsel["secure"]
        assert morsel["httponly"]
        assert morsel["samesite"] == "strict"
        assert 0 < int(morsel["max-age"]) <= 14 * 86_400
        assert morsel.value not in answer.text
    assert int(found[ACCESS]["max-age"]) == answer.json()["expires_in"]


async def test_without_asking_for_it_there_is_no_cookie(ann: Person) -> None:
    wishes: tuple[dict[str, Any], ...] = ({}, {"cookie": False})
    for more in wishes:
        answer = await ann.try_login(**more)
        assert "set-cookie" not in answer.headers
        assert answer.json()["access_token"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://127.0.0.1:81"},
        {"origin": "https://127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", **OURS},
        {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
        {"referer": "http://127.0.0.1/"},
    ],
)
async def test_only_our_own_pages_sign_in_change_and_go_on(
    ann: Person, headers: dict[str, str]
) -> None:
    browser = await opened(ann)
    odd: Any = {"origin": None} | {key.replace("-", "_"): headers[key] for key in headers}

    for answer in (
        await sign_in(ann, headers),
        await browser.call("POST", "/v1/roles", ROLE, **odd),
        await browser.call("POST", "/v1/auth/refresh", {}, **odd),
        await browser.call("POST", "/v1/auth/logout", **odd),
    ):
        assert answer.status_code == 403, answer.text
        assert answer.json()["type"] == "/problems/forbidden"
        assert "set-cookie" not in answer.headers
    assert (await browser.call("GET", "/v1/auth/me", **odd)).status_code == 200


@pytest.mark.parametrize("headers", [OURS, {"sec-fetch-site": "same-origin"}])
async def test_either_word_of_the_browser_will_do(ann: Person, headers: dict[str, str]) -> None:
    assert (await sign_in(ann, headers)).status_code == 200


async def test_a_change_needs_the_sessions_token(ann: Person) -> None:
    browser, other = await opened(ann), await opened(ann)

    for odd in (None, "", "x", browser.csrf[:-1], f"{browser.csrf}=", b"\xe9", other.csrf):
        answer = await browser.call("POST", "/v1/roles", ROLE, x_csrf_token=odd)
        assert answer.status_code == 403, (odd, answer.text)
    assert (await browser.call("POST", "/v1/roles", ROLE)).status_code == 201


async def test_looking_needs_none(ann: Person) -> None:
    browser = await opened(ann)

    for method in ("GET", "HEAD", "OPTIONS"):
        answer = await browser.call(method, "/v1/roles", x_csrf_token=None, origin=None)
        assert answer.status_code in {200, 204, 405}, (method, answer.text)


async def test_where_a_credential_is_shown_the_cookie_counts_for_nothing(ann: Person) -> None:
    browser, pair = await opened(ann), await ann.login()
    bearer = f"Bearer {pair['access_token']}"
    by_credential = await browser.call(
        "POST", "/v1/roles", ROLE, authorization=bearer, x_csrf_token=None, origin=None
    )

    assert by_credential.status_code == 201
    for odd in ("", "Bearer", "Bearer junk", "Basic eDp5"):
        answer = await browser.call("GET", "/v1/auth/me", authorization=odd)
        assert answer.status_code == 401, odd


async def test_cookies_that_are_none(ann: Person) -> None:
    browser = await opened(ann)
    token, refresh = browser.cookies[ACCESS], browser.cookies[REFRESH]
    odd = [
        f"{ACCESS}=",
        f"{ACCESS}",
        f"{ACCESS}=junk",
        f'{ACCESS}="{token}"',
        f"{ACCESS}={token}; {ACCESS}={token}",
        f"{ACCESS}={token}; {ACCESS}=",
        f"{ACCESS.lower()}={token}",
        f"crossdock={token}",
        f"{ACCESS}={refresh}",
        f"{REFRESH}={token}",
        f"{REFRESH}={refresh}",
    ]

    for cookie in odd:
        answer = await browser.call("GET", "/v1/auth/me", cookie=cookie)
        assert answer.status_code == 401, cookie


async def test_an_api_key_in_a_cookie_is_none(ann: Person) -> None:
    pair = await ann.login()
    made = await ann.call(pair, "/v1/api-keys", {"name": "k", "permissions": ["audit:read"]})
    assert made.status_code == 201, made.text
    browser = Browser(ann.bed, {ACCESS: made.json()["key"]}, "")

    assert (await browser.call("GET", "/v1/auth/me")).status_code == 401


async def test_a_page_that_was_loaded_anew_goes_on(ann: Person) -> None:
    first = await opened(ann)

    answer = await first.call("POST", "/v1/auth/refresh", {}, x_csrf_token=None)

    later = first.after(answer)
    assert set(later.cookies) == {ACCESS, REFRESH}
    assert later.cookies[REFRESH] != first.cookies[REFRESH]
    assert later.csrf == first.csrf, "it is the session's"
    assert (await later.call("POST", "/v1/roles", ROLE)).status_code == 201


async def test_a_token_in_the_body_goes_before_the_cookie(ann: Person) -> None:
    browser, pair = await opened(ann), await ann.login()
    wish = {"refresh_token": pair["refresh_token"]}

    answer = await browser.call("POST", "/v1/auth/refresh", wish, origin=None)

    assert answer.json()["session_id"] == pair["session_id"]
    assert "set-cookie" not in answer.headers


async def test_with_neither_there_is_nothing_to_go_on_with(bed: SigningInBed) -> None:
    answer = await bed.post("/v1/auth/refresh", {})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/refresh_token"


async def test_signing_out_takes_the_cookies_away_and_ends_the_session(ann: Person) -> None:
    browser = await opened(ann)

    answer = await browser.call("POST", "/v1/auth/logout")

    assert answer.status_code == 204, answer.text
    found = cookies_of(answer)
    assert set(found) == {ACCESS, REFRESH}
    for morsel in found.values():
        assert (morsel.value, morsel["max-age"], morsel["path"]) == ("", "0", "/")
        assert morsel["secure"]
    assert (await browser.call("POST", "/v1/auth/refresh", {})).status_code == 401


async def test_another_password_is_another_session_in_the_same_cookies(ann: Person) -> None:
    browser = await opened(ann)
    wish = {"current_password": PASSWORD, "new_password": f"{PASSWORD} 2"}

    answer = await browser.call("POST", "/v1/auth/password", wish)

    assert "access_token" not in answer.json()
    later = browser.after(answer)
    assert later.csrf != browser.csrf
    assert (await later.call("GET", "/v1/auth/me")).status_code == 200
    assert (await browser.call("POST", "/v1/auth/refresh", {})).status_code == 401


async def test_signing_in_again_is_a_session_of_its_own(ann: Person) -> None:
    browser = await opened(ann)
    again = await ann.bed.request(
        "POST",
        "/v1/auth/login",
        body(ann, cookie=True),
        address=new_address(),
        headers={**OURS, "cookie": browser.cookie},
    )

    assert browser.after(again).csrf != browser.csrf
    assert browser.after(again).cookies[ACCESS] != browser.cookies[ACCESS]


async def test_cookies_come_with_an_idempotency_key_as_without(ann: Person) -> None:
    browser = await opened(ann)
    wish = {"current_password": PASSWORD, "new_password": f"{PASSWORD} 3"}

    answer = await browser.call("POST", "/v1/auth/password", wish, idempotency_key="change")

    later = browser.after(answer)
    assert set(later.cookies) == {ACCESS, REFRESH}
    answer = await later.call("POST", "/v1/auth/logout", idempotency_key="leave")
    assert answer.status_code == 204, answer.text
    assert set(cookies_of(answer)) == {ACCESS, REFRESH}
