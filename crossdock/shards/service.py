"""The use cases of shards: added, shown, closed to new tenants, and chosen for them."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.db.address import check_address, resolve
from crossdock.db.control import CONTROL
from crossdock.db.migrate import migrate
from crossdock.errors import ConfigurationError, Conflict, Invalid, NotFound, Unavailable, Violation
from crossdock.paging import Slice, Window
from crossdock.shards import store
from crossdock.shards.claims import Claim, claim_of
from crossdock.shards.model import Shard, ShardFacts, ShardState

PROBE_S: Final = 2.0
"""How long a shard may take to say that it is there."""

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Shards:
    """The operator's work on shards; needs the role `control`, and to add one `owner` as well."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def all(self) -> Sequence[ShardFacts]:
        """Return every shard, whether it answers, and how many tenants are placed on it."""
        async with self._databases.control() as conn:
            found = await store.all_shards(conn)
        await self._databases.shards()
        return await asyncio.gather(*(self._facts(shard, tenants) for shard, tenants in found))

    async def page(self, window: Window) -> Slice[ShardFacts]:
        """Return a page of shards, newest first."""
        async with self._databases.control() as conn:
            found = await store.all_shards(conn)
        await self._databases.shards()
        older = [
            (shard, tenants)
            for shard, tenants in sorted(found, key=lambda one: -one[0].id)
            if window.after is None or shard.id < window.after.int
        ]
        shown = older[: window.limit]
        facts = await asyncio.gather(*(self._facts(shard, tenants) for shard, tenants in shown))
        return Slice(facts, more=len(older) > len(shown))

    async def switch(self, name: str, state: ShardState) -> Shard:
        """Open a shard for new tenants, or close it.

        Raises:
            NotFound: there is none of that name.
        """
        async with self._databases.control() as conn:
            found = await store.set_state(conn, name, state)
        if found is None:
            raise NotFound(f"There is no shard {name}.")
        return found

    async def place(self, conn: Any, wanted: int | None = None) -> int:
        """Choose a new tenant's shard: the one wanted, or the open one with the fewest tenants.

        It stays open until the transaction ends, in which the placement is to be written down.

        Args:
            conn: of `Databases.control`.
            wanted: chosen by hand.

        Raises:
            NotFound: there is no such shard.
            Conflict: it takes no new tenants, or none does.
        """
        if wanted is None:
            found = await store.emptiest(conn)
            if found is None:
                raise Conflict("No shard takes new tenants: open one, or add one.")
            return found
        state = await store.hold_state(conn, wanted)
        if state is None:
            raise NotFound(f"There is no shard {wanted}.")
        if state == "closed":
            raise Conflict(f"Shard {wanted} takes no new tenants.")
        return wanted

    async def add(
        self, name: str, url: str, *, admin_url: str | None = None, wait_s: float = 60.0
    ) -> Shard:
        """Make a database the next shard. To repeat it, after a crash as well, changes nothing.

        The database is brought to what this release needs, and then written down; from then on
        tenants are placed on it. Running processes notice it within seconds.

        Args:
            name: for people; lower-case letters, digits and inner dashes.
            url: where the database is, by which every process will connect to it.
            admin_url: an administrator's address of it, where our roles are not there yet.
            wait_s: how long to wait for a server that isn't up yet.

        Raises:
            Invalid: the name is not fit to be one.
            ConfigurationError: the address is none, or the server refuses us.
            Conflict: the name or the database is another shard's, or another installation's.
            DatabaseUnavailable: it did not answer in time.
        """
        if _NAME.fullmatch(name) is None:
            limit = "A shard's name is 1 to 63 lower-case letters, digits and inner dashes."
            raise Invalid(limit, Violation("/name", limit))
        check_address(url)
        settings = self._settings(url)
        async with self._databases.shard(CONTROL).session("control") as conn:
            await store.hold(conn)
            known = [shard for shard, _ in await store.all_shards(conn)]
            claim = await claim_of(settings, admin_url, wait_s=wait_s)
            number, is_known = _number(known, name, url, claim)
            await migrate(admin_url, settings, shard=number, wait_s=wait_s)
            if is_known:
                return next(shard for shard in known if shard.id == number)
            return await store.add(conn, number, name, url)

    async def migrate_others(self, *, wait_s: float = 60.0) -> Sequence[Shard]:
        """Bring all shards but the first to what this release needs; return them.

        Raises:
            ConfigurationError: roles are missing on one; see `add`, which makes them.
            DatabaseUnavailable: one did not answer in time.
        """
        async with self._databases.control() as conn:
            found = [shard for shard, _ in await store.all_shards(conn) if shard.id != CONTROL]
        for shard in found:
            try:
                await migrate(None, self._settings(shard.url), shard=shard.id, wait_s=wait_s)
            except ConfigurationError as error:
                raise ConfigurationError(f"Shard {shard.name}: {error}") from error
        return found

    def _settings(self, url: str) -> DatabaseSettings:
        home = self._databases.shard(CONTROL).settings
        return msgspec.structs.replace(home, url=resolve(url, home.url))

    async def _facts(self, shard: Shard, tenants: int) -> ShardFacts:
        try:
            async with (
                asyncio.timeout(PROBE_S),
                self._databases.shard(shard.id).control() as conn,
            ):
                number = await store.number_of(conn)
        except (Unavailable, TimeoutError) as error:
            problem = str(error) or "It does not answer."
            return ShardFacts(shard, tenants, is_reachable=False, problem=problem)
        if number != shard.id:
            problem = f"The database there says that it is shard {number}."
            return ShardFacts(shard, tenants, is_reachable=False, problem=problem)
        return ShardFacts(shard, tenants, is_reachable=True)


def _number(known: Sequence[Shard], name: str, url: str, claim: Claim) -> tuple[int, bool]:
    """Return the number of a shard that is to be added, and whether it is written down already.

    Raises:
        Conflict: the name or the database is another shard's, or another installation's.
    """
    for shard in known:
        if (shard.name == name) != (shard.url == url):
            raise Conflict(
                f"Shard {shard.name} is at {shard.url or 'the address of the settings'}."
            )
        if shard.name == name:
            return shard.id, True
    taken = {shard.id: shard.name for shard in known}
    if claim.number is None:
        return max(taken) + 1, False
    if claim.number in taken:
        raise Conflict(f"That database is shard {taken[claim.number]} already.")
    if claim.has_tenants:
        raise Conflict("That database has tenants of another installation.")
    return claim.number, False
