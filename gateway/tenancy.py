"""The services of tenants: their own, operators', and signing up."""

from typing import Any

from crossdock.alerts.service import Alarm
from crossdock.alerts.settings import Wishes
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.mail.letters import Letters
from crossdock.retention.service import Retention
from crossdock.shards.service import Shards
from crossdock.tenancy.own import OwnTenant
from crossdock.tenancy.service import Tenants
from crossdock.tenancy.signup import Signups
from gateway.identity import Identity


def services(settings: Settings, database: Databases, identity: Identity) -> dict[str, Any]:
    """Return them by the names under which controllers ask for them."""
    days = settings.worker.retention_days
    letters = Letters(settings.gateway.public_url)
    return {
        "alert_settings": Wishes(database, Alarm(identity.postbox, letters)),
        "own_tenant": OwnTenant(database, retention_days=days),
        "retention": Retention(database, days=days),
        "shards": Shards(database),
        "signups": Signups(
            database,
            settings=settings.identity,
            hasher=identity.hasher,
            policy=identity.policy,
            throttle=identity.throttle,
            postbox=identity.postbox,
            letters=letters,
        ),
        "tenants": Tenants(database, retention_days=days),
    }
