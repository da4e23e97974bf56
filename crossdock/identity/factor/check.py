"""Whether somebody has the second factor, too: each code counts once."""

from datetime import datetime

from crossdock.errors import Unauthenticated
from crossdock.identity import totp
from crossdock.identity.accounts import store as accounts
from crossdock.identity.accounts.model import Account
from crossdock.identity.accounts.store import Connection
from crossdock.identity.factor import store
from crossdock.secrets.seal import Sealer


class CodeCheck:
    """Uses codes of an authenticator, and recovery codes."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def use(self, conn: Connection, account: Account, code: str, now: datetime) -> bool:
        """Use a code of an account whose row is locked; tell whether it was good.

        A code of the authenticator is good if its step comes after the last that was used, a
        recovery code if nobody used it.
        """
        if totp.looks_like_totp(code):
            step = self.step(account, code, now)
            if step is None:
                return False
            await accounts.set_step(conn, account, step)
            return True
        digest = totp.recovery_hash(code, user_id=account.id)
        return await store.use(conn, account.tenant_id, account.id, digest)

    def step(self, account: Account, code: str, now: datetime) -> int | None:
        """Return the step that a code of the authenticator is of, or `None` where it is no good."""
        if account.totp_sealed is None:
            return None
        seed = totp.unseal(
            self._sealer, account.totp_sealed, tenant_id=account.tenant_id, user_id=account.id
        )
        try:
            return totp.verify(seed, code, now=now.timestamp(), last_step=account.totp_step)
        except Unauthenticated:
            return None
