"""How often people may try what thieves try, too.

Each try is counted before anything is looked up, by what was sent: so the answer is the same for
accounts that are there and for those that are not, and tries that come at once count one by one.
"""

from contextlib import suppress
from typing import Final
from uuid import UUID

from crossdock.errors import TooManyRequests, Unavailable
from crossdock.identity.origin import Origin
from crossdock.identity.throttle import (
    LOGIN_BY_ACCOUNT,
    LOGIN_BY_ADDRESS,
    RESET_BY_ACCOUNT,
    RESET_BY_ADDRESS,
    Limit,
    Throttle,
    address_of,
)

CODES_BY_ACCOUNT: Final = Limit(burst=10, every_s=300.0)
"""Codes that a right password goes with. Three codes of a million are good at any time: who knows
the password needs years to guess one."""

NEWS: Final = Limit(burst=10, every_s=60.0)
"""Refusals of one session that are written down; the rest would be one loop's."""

_LOGIN: Final = "login account"
_PASSWORD: Final = "own password"  # noqa: S105 - what is limited, not one
_CODE: Final = "second factor"


class Limits:
    """The limits on signing in and on everything that proves who somebody is."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    async def login(self, email_hash: bytes, origin: Origin) -> None:
        """Count a try to sign in.

        Raises:
            TooManyRequests: there were too many from that address, or for that account.
        """
        await self._throttle.take("login address", address_of(origin.address), LOGIN_BY_ADDRESS)
        await self._throttle.take(_LOGIN, email_hash.hex(), LOGIN_BY_ACCOUNT)

    async def logged_in(self, email_hash: bytes) -> None:
        """Forget an account's tries, for it was its owner in the end."""
        await self._clear(_LOGIN, email_hash.hex())

    async def code(self, user_id: UUID) -> None:
        """Count a try of a second factor's code, or of a recovery code.

        Raises:
            TooManyRequests: there were too many for that account.
        """
        await self._throttle.take(_CODE, user_id.hex, CODES_BY_ACCOUNT)

    async def code_was_right(self, user_id: UUID) -> None:
        """Forget an account's tries of codes."""
        await self._clear(_CODE, user_id.hex)

    async def password(self, user_id: UUID) -> None:
        """Count a try of one's own password by somebody who is signed in.

        Raises:
            TooManyRequests: there were too many for that account.
        """
        await self._throttle.take(_PASSWORD, user_id.hex, LOGIN_BY_ACCOUNT)

    async def password_was_right(self, user_id: UUID) -> None:
        """Forget an account's tries of its own password."""
        await self._clear(_PASSWORD, user_id.hex)

    async def reset(self, email_hash: bytes, origin: Origin) -> None:
        """Count a request for a password reset.

        Raises:
            TooManyRequests: there were too many from that address, or for that account.
        """
        await self._throttle.take("reset address", address_of(origin.address), RESET_BY_ADDRESS)
        await self._throttle.take("reset account", email_hash.hex(), RESET_BY_ACCOUNT)

    async def reset_token(self, origin: Origin) -> None:
        """Count a try of a reset's token.

        Raises:
            TooManyRequests: there were too many from that address.
        """
        await self._throttle.take("reset token", address_of(origin.address), LOGIN_BY_ADDRESS)

    async def is_news(self, purpose: str, subject: UUID) -> bool:
        """Tell whether a refusal is worth writing down: the first ones are, a flood is not.

        Nor is any while nobody can count: the refusal itself needs no more than its own shard.
        """
        try:
            await self._throttle.take(f"{purpose} refused", subject.hex, NEWS)
        except (TooManyRequests, Unavailable):
            return False
        return True

    async def _clear(self, purpose: str, subject: str) -> None:
        """Forget tries; where that can't be done now, they are forgotten later by themselves."""
        with suppress(Unavailable):
            await self._throttle.clear(purpose, subject)
