"""The second factor of one's own account: set up, confirmed, renewed, taken away."""

from typing import Final

import msgspec

from crossdock.access.model import Principal
from crossdock.audit import store as audit
from crossdock.db import Databases
from crossdock.errors import Conflict, Forbidden
from crossdock.identity import letters, totp, trail
from crossdock.identity.accounts import store as accounts
from crossdock.identity.accounts.model import Account
from crossdock.identity.accounts.rules import barred
from crossdock.identity.accounts.store import Connection
from crossdock.identity.credentials.proof import Proof
from crossdock.identity.factor import store
from crossdock.identity.factor.check import CodeCheck
from crossdock.identity.limits import Limits
from crossdock.identity.origin import Origin
from crossdock.mail.service import Postbox
from crossdock.secrets.seal import Sealer

SET_UP: Final = "user.totp-setup"
CONFIRM: Final = "user.totp-confirm"
DISABLE: Final = "user.totp-disable"
RENEW: Final = "user.recovery-codes"

_WRONG: Final = "That code is not right."


class Seed(msgspec.Struct, frozen=True):
    """A seed, shown once."""

    secret: str
    uri: str


class SecondFactor:
    """Changes one's own second factor; wherever it is on, a code goes with the password."""

    def __init__(
        self, database: Databases, proof: Proof, sealer: Sealer, limits: Limits, postbox: Postbox
    ) -> None:
        self._database = database
        self._proof = proof
        self._sealer = sealer
        self._codes = CodeCheck(sealer)
        self._limits = limits
        self._postbox = postbox

    async def set_up(self, caller: Principal, *, password: str, origin: Origin) -> Seed:
        """Make a seed, which does not count until it is confirmed.

        Raises:
            Forbidden: that is not the password.
            Conflict: there is a second factor already.
            TooManyRequests: there were too many tries.
            Busy: too many passwords wait to be compared.
        """
        known = await self._proof.of(caller, password, origin, SET_UP)
        seed = totp.new_seed()
        sealed = totp.seal(self._sealer, seed, tenant_id=known.tenant_id, user_id=known.id)
        async with self._database.tenant(known.tenant_id) as conn:
            account = await self._locked(conn, caller)
            if account.has_second_factor:
                raise Conflict("There is a second factor already; take it away first.")
            await accounts.propose_factor(conn, account, sealed)
            await audit.add(conn, account.tenant_id, trail.done(SET_UP, account.id, origin))
        name = f"{known.email} ({known.tenant_slug})"
        return Seed(seed, totp.uri(seed, account=name))

    async def confirm(self, caller: Principal, *, code: str, origin: Origin) -> tuple[str, ...]:
        """Have the seed count, for a code of it is right; return the recovery codes.

        Raises:
            Forbidden: that is no code of it.
            Conflict: no seed waits to be confirmed.
            TooManyRequests: there were too many tries.
        """
        await self._limits.code(caller.actor.id)
        codes = totp.new_recovery_codes()
        async with self._database.tenant(caller.tenant_id) as conn:
            account = await self._locked(conn, caller)
            if account.totp_sealed is None or account.has_second_factor:
                raise Conflict("No second factor waits to be confirmed.")
            now = await accounts.now(conn)
            step = self._codes.step(account, code, now)
            if step is not None:
                await accounts.confirm_factor(conn, account, now, step)
                await self._replace_codes(conn, account, codes)
                await self._tell(conn, account, CONFIRM, "it is on", origin)
        if step is None:
            await self._refuse(caller, CONFIRM, origin)
        await self._limits.code_was_right(caller.actor.id)
        return codes

    async def disable(self, caller: Principal, *, password: str, code: str, origin: Origin) -> None:
        """Take the second factor away.

        Raises:
            Forbidden: that is not the password, or the code is not good.
            Conflict: there is no second factor.
            TooManyRequests: there were too many tries.
            Busy: too many passwords wait to be compared.
        """
        await self._proof.of(caller, password, origin, DISABLE)
        await self._limits.code(caller.actor.id)
        async with self._database.tenant(caller.tenant_id) as conn:
            account = await self._with_factor(conn, caller)
            if good := await self._codes.use(conn, account, code, await accounts.now(conn)):
                await accounts.clear_factor(conn, account)
                await store.remove(conn, account.tenant_id, account.id)
                await self._tell(conn, account, DISABLE, "it is off", origin)
        if not good:
            await self._refuse(caller, DISABLE, origin)
        await self._limits.code_was_right(caller.actor.id)

    async def renew_recovery_codes(
        self, caller: Principal, *, password: str, code: str, origin: Origin
    ) -> tuple[str, ...]:
        """Return other recovery codes; those of before are worth nothing from now on.

        Raises:
            Forbidden: that is not the password, or the code is not good.
            Conflict: there is no second factor.
            TooManyRequests: there were too many tries.
            Busy: too many passwords wait to be compared.
        """
        await self._proof.of(caller, password, origin, RENEW)
        await self._limits.code(caller.actor.id)
        codes = totp.new_recovery_codes()
        async with self._database.tenant(caller.tenant_id) as conn:
            account = await self._with_factor(conn, caller)
            if good := await self._codes.use(conn, account, code, await accounts.now(conn)):
                await self._replace_codes(conn, account, codes)
                await self._tell(conn, account, RENEW, "it has other recovery codes", origin)
        if not good:
            await self._refuse(caller, RENEW, origin)
        await self._limits.code_was_right(caller.actor.id)
        return codes

    async def _locked(self, conn: Connection, caller: Principal) -> Account:
        account = await accounts.lock(conn, caller.tenant_id, caller.actor.id)
        if account is None or barred(account) is not None:
            raise Forbidden
        return account

    async def _with_factor(self, conn: Connection, caller: Principal) -> Account:
        account = await self._locked(conn, caller)
        if not account.has_second_factor:
            raise Conflict("There is no second factor.")
        return account

    async def _replace_codes(
        self, conn: Connection, account: Account, codes: tuple[str, ...]
    ) -> None:
        await store.remove(conn, account.tenant_id, account.id)
        hashes = totp.recovery_hashes(codes, user_id=account.id)
        await store.add(conn, account.tenant_id, account.id, hashes)

    async def _tell(
        self, conn: Connection, account: Account, action: str, what: str, origin: Origin
    ) -> None:
        await audit.add(conn, account.tenant_id, trail.done(action, account.id, origin))
        letter = letters.second_factor_changed(account.email, account.tenant_slug, what, origin)
        await self._postbox.put(conn, account.tenant_id, letter)

    async def _refuse(self, caller: Principal, action: str, origin: Origin) -> None:
        """Write down that a code was no good, and say so.

        Raises:
            Forbidden: always.
        """
        await self._proof.refuse(caller, action, "code", origin)
        raise Forbidden(_WRONG)
