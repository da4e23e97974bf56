"""Every table of the product in one metadata: for migrations, and for tests that walk it."""

from typing import Final

from crossdock.access import tables as access
from crossdock.db.schema import metadata as _metadata
from crossdock.delivery import tables as delivery
from crossdock.inbound import tables as inbound
from crossdock.outbox import tables as outbox
from crossdock.tenancy import tables as tenancy

MODULES: Final = (tenancy, access, inbound, delivery, outbox)
metadata: Final = _metadata
