"""People, their tenants and their sessions, as they come about over HTTP and by mail."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from time import monotonic
from typing import Any, Final, Self

import httpx
import msgspec

from tests.acceptance.identity.post import Post
from tests.acceptance.identity.problems import ok, refused, told
from tests.faults.stack import Stack

BOUND_S: Final = 1.5
"""The promise is 1 s. Asking takes a moment itself, and two cores here serve the whole stack and
the test: what is over this was late, not unlucky."""
LEAKED: Final = "correct horse battery staple"
"""The one password on the stack's list of breached ones."""
AT_ONCE: Final = 6
IN_A_ROW: Final = 3
"""Each request is a connection of its own, so this many times that many meet every process."""

_addresses = count(1)


def password() -> str:
    """Return one that is long and that nobody has leaked."""
    return f"pw-{secrets.token_urlsafe(18)}"


def email(name: str = "someone") -> str:
    """Return an address that nobody else has."""
    return f"{name}.{secrets.token_hex(6)}@example.com"


def slug() -> str:
    """Return one that no other tenant has."""
    return f"t-{secrets.token_hex(6)}"


class Caller:
    """Whoever asks: with a credential or without, from an address of its own."""

    def __init__(self, town: "Town", credential: str | None = None) -> None:
        self.town = town
        number = next(_addresses)
        self.headers = {
            "x-forwarded-for": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        }
        if credential is not None:
            self.headers["authorization"] = f"Bearer {credential}"

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Ask, and return whatever is answered."""
        sent = dict(self.headers)
        if body is not None:
            raw = msgspec.json.encode(body)
            sent["content-type"] = "application/json"
        return await self.town.http.request(
            method, self.town.url + path, content=raw, headers=sent | dict(headers or {})
        )

    async def get(self, path: str) -> httpx.Response:
        """Look at something."""
        return await self.call("GET", path)

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        """Make or do something."""
        return await self.call("POST", path, body)

    async def patch(self, path: str, body: Any) -> httpx.Response:
        """Change something."""
        return await self.call("PATCH", path, body)

    async def delete(self, path: str) -> httpx.Response:
        """Remove something."""
        return await self.call("DELETE", path)

    async def all(self, path: str) -> list[Any]:
        """Return a whole list."""
        joint = "&" if "?" in path else "?"
        items: list[Any] = []
        cursor = ""
        while True:
            page = ok(await self.get(f"{path}{joint}limit=200{cursor}"))
            items += page["items"]
            if not page["next_cursor"]:
                return items
            cursor = f"&cursor={page['next_cursor']}"


class Session:
    """One sign-in."""

    def __init__(self, town: "Town", pair: Any) -> None:
        self.town = town
        self.pair = pair
        self.id: str = pair["session_id"]
        self.access: str = pair["access_token"]
        self.refresh: str = pair["refresh_token"]
        self.rest = Caller(town, self.access)

    async def renew(self) -> "Session":
        """Return the session with the next pair."""
        reply = await self.town.anyone().post("/v1/auth/refresh", {"refresh_token": self.refresh})
        return Session(self.town, ok(reply, 200))


class Person:
    """A user of one tenant, with a first session."""

    def __init__(self, town: "Town", address: str, secret: str, made: Any) -> None:
        self.town = town
        self.email = address
        self.password = secret
        self.tenant_id: str = made["tenant"]["id"]
        self.slug: str = made["tenant"]["slug"]
        self.id: str = made["user"]["id"]
        self.session: Session = None  # type: ignore[assignment] # until the first login

    @property
    def rest(self) -> Caller:
        """The first session's caller."""
        return self.session.rest

    async def try_login(self, **more: Any) -> httpx.Response:
        """Ask for another session."""
        body = {"email": self.email, "password": self.password, "tenant": self.slug} | more
        return await self.town.anyone().post("/v1/auth/login", body)

    async def login(self, **more: Any) -> Session:
        """Return another session."""
        return Session(self.town, ok(await self.try_login(**more), 200))

    async def me(self) -> Any:
        """Return who the API thinks this is."""
        return ok(await self.rest.get("/v1/auth/me"))


class Town:
    """A stack, and everybody who has to do with it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = stack.url
        self.post = Post(stack)
        # No connection is used twice: each request meets whichever gateway process is free.
        self.http = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            timeout=30,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    def anyone(self) -> Caller:
        """Return a stranger."""
        return Caller(self)

    def bearer(self, credential: str) -> Caller:
        """Return whoever has that token or key."""
        return Caller(self, credential)

    async def signup(self, **more: Any) -> dict[str, Any]:
        """Ask for a tenant; return what was asked for."""
        wish = {
            "email": email("founder"),
            "password": password(),
            "name": "Frida Founder",
            "tenant_name": "Acme",
            "slug": slug(),
        } | more
        ok(await self.anyone().post("/v1/signup", wish), 202)
        return wish

    async def founder(self, name: str = "founder", **more: Any) -> Person:
        """Return the owner of a new tenant, signed in."""
        wish = await self.signup(email=email(name), **more)
        token = await self.post.token(wish["email"])
        told = ok(await self.anyone().post("/v1/signup/verify", {"token": token}), 201)
        return await self._arrived(wish["email"], wish["password"], told)

    async def founders(self, number: int) -> list[Person]:
        """Return as many, who came at the same time."""
        return await asyncio.gather(*(self.founder() for _ in range(number)))

    async def colleague(self, host: Person, *roles: str, address: str | None = None) -> Person:
        """Return somebody whom that person invited, signed in."""
        address = address or email("colleague")
        body = {"email": address, "roles": list(roles)}
        ok(await host.rest.post("/v1/invitations", body), 201)
        return await self.accept(address)

    async def accept(self, address: str) -> Person:
        """Return somebody who took the newest invitation to that address, signed in."""
        secret, token = password(), await self.post.token(address)
        body = {"token": token, "name": "Colin Colleague", "password": secret}
        told = ok(await self.anyone().post("/v1/invitations/accept", body), 201)
        return await self._arrived(address, secret, told)

    async def operator(self, role: str) -> Person:
        """Return an operator of the installation, signed in."""
        address, secret = email("operator"), password()
        made = await self.stack.command(
            *("operator", "create", address, "--role", role, "--json"),
            *("--data", str(self.stack.folder)),
            environ={"CROSSDOCK_OPERATOR_PASSWORD": secret},
        )
        assert made.code == 0, made
        told = {"tenant": {"id": "", "slug": "platform"}, "user": made.last_json()}
        return await self._arrived(address, secret, told)

    async def _arrived(self, address: str, secret: str, told: Any) -> Person:
        person = Person(self, address, secret, told)
        person.session = await person.login()
        return person


async def settled(ask: Callable[[], Awaitable[httpx.Response]], *statuses: int) -> float:
    """Wait until every gateway process answers so; return how many seconds that took.

    Fails where one still answers otherwise after the bound. Until then one process may know and
    another not, and a few answers in a row may all be of the first.
    """
    started, since, alike = monotonic(), 0.0, 0
    while alike < IN_A_ROW:
        asked = monotonic() - started
        replies = await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
        seen = [reply.status_code for reply in replies]
        if all(status in statuses for status in seen):
            since = asked if alike == 0 else since
            alike += 1
            continue
        alike = 0
        assert asked <= BOUND_S, (
            f"After {asked:.2f} s still {seen}, not {statuses}: {told(replies[0])}"
        )
        await asyncio.sleep(0.02)
    return since


async def source(caller: Caller, **more: Any) -> Any:
    """Return a new source that takes anything."""
    body = {"name": f"s-{secrets.token_hex(6)}", "scheme": "none", "secrets": []} | more
    return ok(await caller.post("/v1/sources", body), 201)


async def key(caller: Caller, *permissions: str, **more: Any) -> Any:
    """Return a new API key, secret included."""
    body = {"name": f"k-{secrets.token_hex(4)}", "permissions": list(permissions)} | more
    return ok(await caller.post("/v1/api-keys", body), 201)


def unauthenticated(reply: httpx.Response) -> None:
    """Check that it is the one answer for every credential that is no good."""
    refused(reply, 401, "unauthenticated")
