"""Asking somebody who is signed in for their password once more."""

from crossdock import ids
from crossdock.access.model import Principal
from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.errors import Forbidden
from crossdock.identity import trail
from crossdock.identity.accounts import store
from crossdock.identity.accounts.model import Account
from crossdock.identity.hashing import PasswordHasher
from crossdock.identity.limits import Limits
from crossdock.identity.origin import Origin

WRONG = "That is not your password."


class Proof:
    """Believes a token for what it permits, and nobody without the password for what it opens."""

    def __init__(self, database: Databases, hasher: PasswordHasher, limits: Limits) -> None:
        self._database = database
        self._hasher = hasher
        self._limits = limits

    async def of(self, caller: Principal, password: str, origin: Origin, action: str) -> Account:
        """Return the caller's account, of which they know the password.

        Raises:
            Forbidden: they do not, or it is nobody's any more.
            TooManyRequests: they tried too often.
            Busy: too many passwords wait to be compared.
        """
        await self._limits.password(caller.actor.id)
        async with self._database.tenant(caller.tenant_id) as conn:
            account = await store.find(conn, caller.tenant_id, caller.actor.id)
        if account is None or account.password_hash is None:
            await self._hasher.dummy()
        elif await self._hasher.verify(account.password_hash, password):
            await self._limits.password_was_right(caller.actor.id)
            return account
        await self.refuse(caller, action, "password", origin)
        raise Forbidden(WRONG)

    async def refuse(self, caller: Principal, action: str, reason: str, origin: Origin) -> None:
        """Write down that a caller did not prove who they are."""
        target = ids.encode("usr", caller.actor.id)
        entry = trail.done_by(caller, f"{action}.refused", target, origin, reason=reason)
        async with self._database.tenant(caller.tenant_id) as conn:
            await audit.add(conn, caller.tenant_id, entry)
