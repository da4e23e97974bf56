"""Where letters are posted: in the transaction of what they tell."""

from uuid import UUID

import msgspec

from crossdock import ids
from crossdock.mail import store
from crossdock.mail.model import Mail
from crossdock.mail.sealing import mail_context
from crossdock.mail.store import Connection, RawConnection
from crossdock.secrets.seal import Sealer

_decoder = msgspec.json.Decoder(Mail)


class Postbox:
    """Takes letters; a worker sends them once the transaction has committed.

    A letter may hold a token that opens an account, so it waits sealed with the key `keys.mail`.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def put(self, conn: Connection, tenant_id: UUID, mail: Mail) -> UUID:
        """Post a letter inside the tenant that was entered; return its id."""
        mail_id = ids.new()
        await store.add(conn, tenant_id, mail_id, self.seal(tenant_id, mail_id, mail))
        return mail_id

    async def put_raw(self, conn: RawConnection, tenant_id: UUID, mail: Mail) -> UUID:
        """Post a letter on a connection of `control`, `operator` or `maintenance`."""
        mail_id = ids.new()
        await store.add_raw(conn, tenant_id, mail_id, self.seal(tenant_id, mail_id, mail))
        return mail_id

    def seal(self, tenant_id: UUID, mail_id: UUID, mail: Mail) -> bytes:
        """Return a letter as its row keeps it."""
        return self._sealer.seal(
            msgspec.json.encode(mail), context=mail_context(tenant_id, mail_id)
        )

    def open(self, tenant_id: UUID, mail_id: UUID, sealed: bytes) -> Mail:
        """Return the letter of a row.

        Raises:
            SealBroken: it was sealed with another key, or for another row.
        """
        return _decoder.decode(self._sealer.open(sealed, context=mail_context(tenant_id, mail_id)))
