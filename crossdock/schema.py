"""Every table of the product in one metadata: for migrations, and for tests that walk it."""

from typing import Final

from crossdock.access import tables as access
from crossdock.alerts import tables as alerts
from crossdock.audit import tables as audit
from crossdock.db.schema import metadata as _metadata
from crossdock.delivery import tables as delivery
from crossdock.event_types import tables as event_types
from crossdock.idempotency import tables as idempotency
from crossdock.identity import tables as identity
from crossdock.inbound import tables as inbound
from crossdock.mail import tables as mail
from crossdock.outbox import tables as outbox
from crossdock.retention import tables as retention
from crossdock.secrets import tables as secrets
from crossdock.shards import tables as shards
from crossdock.tenancy import tables as tenancy

MODULES: Final = (
    tenancy,
    shards,
    identity,
    access,
    audit,
    alerts,
    mail,
    inbound,
    delivery,
    outbox,
    idempotency,
    event_types,
    secrets,
    retention,
)
metadata: Final = _metadata
