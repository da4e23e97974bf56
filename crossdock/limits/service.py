"""Decides in a table, and counts what was decided."""

from collections import Counter
from collections.abc import Callable
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from crossdock.access.model import Principal
from crossdock.config import LimitSettings
from crossdock.errors import TooManyRequests
from crossdock.limits import policies
from crossdock.limits.table import OpenTable, open_table
from crossdock.native import Limit, Taken
from crossdock.telemetry.metrics import LIMITS_DECISIONS, LIMITS_OPEN
from proto.settings import TenantSettings

Asked: TypeAlias = tuple[Limit, ...]
"""All that one request is counted against; all of them must have room."""

_GUESSES: Final = b"guesses "

PREPARED: Final = 10_000
"""How many callers a process keeps the limits of; the oldest goes first."""


class _Prepared(msgspec.Struct, frozen=True):
    settings: TenantSettings | None
    """The tenant's, of when this was made."""
    requests_per_minute: int | None
    asked: Asked


class Limits:
    """One process's way to the table. Not for threads."""

    def __init__(
        self,
        settings: LimitSettings,
        opened: OpenTable | None = None,
        tenant: Callable[[UUID], TenantSettings | None] = lambda _: None,
        salt: bytes = b"",
    ) -> None:
        """Count in a table.

        Args:
            settings: the rates that are not tenants' own.
            opened: the table; by default the one that the settings name.
            tenant: returns what is known of a tenant.
            salt: a secret that all nodes have; see `policies.of_address`.

        Raises:
            ConfigurationError: a setting is out of range.
        """
        policies.check(settings)
        self._salt = salt
        self._settings = settings
        self.opened: Final = opened or open_table(settings)
        self._table = self.opened.table
        self._tenant = tenant
        self._prepared: dict[int, _Prepared] = {}
        self._admitted: list[Asked] = []
        self._refused: Counter[str] = Counter()
        self._unknown = 0

    def take(self, asked: Asked) -> Taken:
        """Count one request against all of these limits, or against none if one has no room."""
        taken = self._table.take(asked)
        if taken.admitted:
            self._admitted.append(asked)
        else:
            self._refused.update(taken.refused)
        return taken

    def peek(self, asked: Asked) -> Taken:
        """Return what `take` would, and count nothing."""
        return self._table.peek(asked)

    def of_caller(self, principal: Principal) -> Asked:
        """Return what a request of a verified caller is counted against."""
        settings = self._tenant(principal.tenant_id)
        number = principal.actor.id.int
        known = self._prepared.get(number)
        if (
            known is not None
            and known.settings is settings
            and known.requests_per_minute == principal.requests_per_minute
        ):
            return known.asked
        if settings is None:
            # A tenant that was made a moment ago: its key's limit alone holds until it is known.
            self._unknown += 1
        asked = self._of_caller(principal, settings)
        self._prepared.pop(number, None)
        while len(self._prepared) >= PREPARED:
            del self._prepared[next(iter(self._prepared))]
        self._prepared[number] = _Prepared(settings, principal.requests_per_minute, asked)
        return asked

    def _of_caller(self, principal: Principal, settings: TenantSettings | None) -> Asked:
        own = policies.of_caller(principal, self._settings)
        # What an operator looks at inside a tenant is not the tenant's doing.
        if settings is None or principal.actor.kind == "operator":
            return (own,)
        tenant = policies.of_tenant(settings)
        return (own,) if tenant is None else (tenant, own)

    def of_address(self, address: str) -> Asked:
        """Return what a request of nobody in particular is counted against."""
        return (policies.of_address(address, self._settings, self._salt),)

    def of_guesses(self, address: str) -> Asked:
        """Return what a refused credential is counted against: the same, counted apart.

        So whoever only asks for what is not there locks nobody out who shares their address.
        """
        return (policies.of_address(address, self._settings, self._salt + _GUESSES),)

    def tick(self) -> None:
        """Hand over what was counted."""
        admitted, self._admitted = self._admitted, []
        for asked, count in Counter(admitted).items():
            for limit in asked:
                LIMITS_DECISIONS.labels(limit.name, "admitted").inc(count)
        refused, self._refused = self._refused, Counter()
        for policy, count in refused.items():
            LIMITS_DECISIONS.labels(policy, "refused").inc(count)
        if self._unknown:
            LIMITS_OPEN.labels("unknown-tenant").inc(self._unknown)
            self._unknown = 0


def over(taken: Taken) -> TooManyRequests:
    """Return the error of what a limit refused."""
    names = " and ".join(taken.refused)
    wait = taken.retry_after_s
    return TooManyRequests(
        f"The rate limit {names} is reached; there is room again in {wait} s.",
        retry_after_s=wait,
        policies=taken.refused,
    )
