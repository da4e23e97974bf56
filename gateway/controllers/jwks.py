"""`/.well-known/jwks.json`: the public keys of access tokens, for those who check them too."""

from typing import Final

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency

from crossdock.errors import Unavailable
from crossdock.identity.keys.service import SigningKeys

CACHE: Final = "public, max-age=300"
"""Half of what a new key is published before it signs."""


class KeySet(msgspec.Struct, frozen=True):
    """A set of keys (RFC 7517)."""

    keys: list[dict[str, str]]


class KeySetController(Controller):
    """Public keys."""

    path = "/.well-known"
    tags = ("Auth",)

    @get("/jwks.json", public=True, unmetered=True)
    async def get_jwks(self, signing_keys: NamedDependency[SigningKeys]) -> Response[KeySet]:
        """Show the keys that access tokens are signed with: what signs, what will, what did."""
        keys = signing_keys.jwks()["keys"]
        if not keys:  # an empty set would be remembered for minutes
            raise Unavailable("No signing key is known yet.")
        return Response(KeySet(keys), headers={"Cache-Control": CACHE})
