"""Changing one's own password."""

from typing import Final

from crossdock.access.model import Principal
from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.errors import Conflict, Forbidden, Invalid, Violation
from crossdock.identity import letters, passwords, revocation, trail
from crossdock.identity.accounts import store as accounts
from crossdock.identity.accounts.rules import barred
from crossdock.identity.credentials import store
from crossdock.identity.credentials.proof import Proof
from crossdock.identity.hashing import PasswordHasher
from crossdock.identity.origin import Origin
from crossdock.identity.passwords import PasswordPolicy
from crossdock.identity.sessions.model import TokenPair
from crossdock.identity.sessions.pairs import Pairs
from crossdock.mail.service import Postbox

ACTION: Final = "user.password-change"


class PasswordChange:
    """Gives people another password, and ends whatever the old one had opened."""

    def __init__(
        self,
        database: Databases,
        *,
        proof: Proof,
        hasher: PasswordHasher,
        policy: PasswordPolicy,
        pairs: Pairs,
        postbox: Postbox,
    ) -> None:
        self._database = database
        self._proof = proof
        self._hasher = hasher
        self._policy = policy
        self._pairs = pairs
        self._postbox = postbox

    async def change(
        self, caller: Principal, *, current: str, new: str, origin: Origin
    ) -> TokenPair:
        """Change the caller's password; all their sessions end, and one begins anew.

        Raises:
            Forbidden: the current password is another.
            Invalid: the new one is not good enough, or the same.
            Conflict: it was changed by somebody else at the same time.
            TooManyRequests: there were too many tries.
            Busy: too many passwords wait to be hashed.
        """
        known = await self._proof.of(caller, current, origin, ACTION)
        text = self._policy.check(
            new, email=known.email, names=(known.tenant_slug,), pointer="/new_password"
        )
        if text == passwords.normalise(current):
            raise Invalid(None, Violation("/new_password", "That is the password you have."))
        fresh = await self._hasher.hash(text)
        async with self._database.tenant(known.tenant_id) as conn:
            account = await accounts.lock(conn, known.tenant_id, known.id)
            if account is None or barred(account) is not None:
                raise Forbidden
            if account.password_hash != known.password_hash:
                raise Conflict("The password was changed at the same time.")
            await accounts.set_password(conn, account, fresh)
            await revocation.end_sessions(conn, account.tenant_id, account.id, "password-changed")
            await store.use_all(conn, account.tenant_id, account.id)
            await audit.add(conn, account.tenant_id, trail.done(ACTION, account.id, origin))
            letter = letters.password_changed(account.email, account.tenant_slug, origin)
            await self._postbox.put(conn, account.tenant_id, letter)
            return await self._pairs.begin(conn, account, origin)
