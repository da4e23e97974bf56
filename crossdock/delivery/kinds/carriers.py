"""All kinds of destinations, and who carries to them: another kind is another line here."""

from collections.abc import Callable, Mapping
from typing import Final

from crossdock.bus.publisher import Publisher
from crossdock.db.database import Database
from crossdock.delivery.client import Client
from crossdock.delivery.destinations.model import Kind
from crossdock.delivery.kinds.http import HttpCarrier
from crossdock.delivery.kinds.inbox import InboxCarrier
from crossdock.delivery.kinds.nats import NatsCarrier
from crossdock.delivery.kinds.parcel import Carrier
from crossdock.delivery.kinds.storage import StorageCarrier

MOST_BYTES: Final = 512 * 1024
"""Of a body in a message on NATS, where the settings say nothing else."""


def carriers(
    client: Client,
    database: Database,
    publisher: Publisher | None,
    clock: Callable[[], float],
    *,
    most_bytes: int = MOST_BYTES,
) -> Mapping[Kind, Carrier]:
    """Return who carries for a shard's dispatcher, by kind.

    Args:
        client: calls, guarded.
        database: the shard's, opened with the role `dispatch`; inboxes are in it.
        publisher: to NATS, without atomic batches; `None` where there is no broker.
        clock: unix seconds.
        most_bytes: of a body that a message on NATS takes.
    """
    return {
        "http": HttpCarrier(client),
        "nats": NatsCarrier(publisher, most_bytes=most_bytes),
        "inbox": InboxCarrier(database, clock),
        "storage": StorageCarrier(client),
    }
