"""Who is limited by what. Pure: the table that decides is native (`crossdock.native`).

| policy | counts | by |
| --- | --- | --- |
| `tenant` | requests to the REST API | tenant: its plan's `requests_per_minute`, or its own |
| `key` | the same | API key or person: one rate for all, or the key's own where that is less |
| `webhooks` | webhooks that were verified | tenant: its plan's `webhooks_per_minute`, or its own |
| `source` | the same | source, where it has a limit of its own |
| `address` | requests of nobody in particular, and refusals | network address |
"""

from typing import Final

from crossdock.access.model import Principal
from crossdock.config import PREFIX, LimitSettings
from crossdock.errors import ConfigurationError
from crossdock.identity.throttle.rules import address_of
from crossdock.native import Limit
from crossdock.tenancy import plans
from crossdock.tenancy.rules import PLATFORM
from proto.settings import SourceSettings, TenantSettings

TENANT: Final = "tenant"
KEY: Final = "key"
WEBHOOKS: Final = "webhooks"
SOURCE: Final = "source"
ADDRESS: Final = "address"

MINUTE_S: Final = 60.0

_RANGES: Final = (
    ("slots", 64, 2**24),
    ("address_per_minute", 1, plans.MAX_RATE),
    ("address_burst", 1, plans.MAX_RATE),
    ("key_per_minute", 1, plans.MAX_RATE),
    ("exchange_s", 0.05, 1.0),
)


def check(settings: LimitSettings) -> None:
    """Check that limits can be made by these settings.

    Raises:
        ConfigurationError: one is out of range; names it.
    """
    for name, least, most in _RANGES:
        if not least <= getattr(settings, name) <= most:
            setting = f"{PREFIX}LIMITS__{name.upper()}"
            raise ConfigurationError(f"{setting} is {least} to {most}.")


def of_tenant(settings: TenantSettings) -> Limit | None:
    """Return how many requests all of a tenant's callers may send; `None` is any number.

    The platform's own tenant has no limit: who runs an installation is not locked out of it.
    """
    if settings.tenant_id == PLATFORM.bytes:
        return None
    quota = plans.rate(settings.plan, settings.quotas, "requests_per_minute")
    return None if quota is None else Limit(TENANT, settings.tenant_id, quota, MINUTE_S)


def of_caller(principal: Principal, settings: LimitSettings) -> Limit:
    """Return how many requests one API key, or one person, may send.

    A key's own limit is its tenant's to set: below the installation's, never above it.
    """
    quota = min(principal.requests_per_minute or settings.key_per_minute, settings.key_per_minute)
    return Limit(KEY, principal.actor.id.bytes, quota, MINUTE_S)


def of_source(settings: SourceSettings) -> tuple[Limit, ...]:
    """Return what a verified webhook is counted against: its source's limit, then its tenant's."""
    wanted = (
        (SOURCE, settings.source_id, settings.webhooks_per_minute),
        (WEBHOOKS, settings.tenant_id, settings.tenant_webhooks_per_minute),
    )
    return tuple(Limit(name, subject, quota, MINUTE_S) for name, subject, quota in wanted if quota)


def of_address(address: str, settings: LimitSettings, salt: bytes = b"") -> Limit:
    """Return how many requests an address may send as nobody in particular, or be refused.

    Addresses share a fixed number of slots, so that nobody can fill the table with addresses. Who
    does not know the salt can't choose one that shares its slot with somebody else's.
    """
    return Limit(
        ADDRESS,
        salt + address_of(address).encode("utf-8", "surrogatepass"),
        settings.address_per_minute,
        MINUTE_S,
        settings.address_burst,
        shared_slot=True,
    )
