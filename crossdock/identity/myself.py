"""What a caller may know of themselves."""

from crossdock.access.model import Principal
from crossdock.db import Databases
from crossdock.errors import NotFound
from crossdock.identity.accounts import store
from crossdock.identity.accounts.model import Place


class Myself:
    """Answers `who am I?`, for any credential."""

    def __init__(self, database: Databases) -> None:
        self._database = database

    async def get(self, caller: Principal) -> Place:
        """Return the slug of a caller's tenant, and their address if they are a user of it.

        Raises:
            NotFound: the tenant is gone.
        """
        user_id = caller.actor.id if caller.actor.kind == "user" else None
        async with self._database.tenant(caller.tenant_id) as conn:
            found = await store.place(conn, caller.tenant_id, user_id)
        if found is None:
            raise NotFound
        return found
