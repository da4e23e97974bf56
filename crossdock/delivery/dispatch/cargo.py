"""What a delivery carries, made ready to be sent."""

from uuid import UUID

from msgspec.structs import replace

from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.model import Cargo, DeadReason, Leased
from crossdock.secrets.payloads import KeyReader, PayloadShredded, open_payload
from crossdock.secrets.seal import SealBroken
from crossdock.telemetry import metrics


async def opened(keys: KeyReader, tenant_id: UUID, cargo: Cargo) -> Cargo | DeadReason:
    """Return what is sent: the payload as it came, or why nobody can have that any more.

    It still names its key, where there was one: what was sealed is kept plain nowhere.

    Raises:
        DatabaseUnavailable: its key can't be read just now.
    """
    if cargo.data_key is None:
        return cargo
    try:
        key = await keys.get(tenant_id, cargo.data_key)
        body = open_payload(key, tenant_id, cargo.event_id, cargo.body)
    except PayloadShredded:
        return "payload_shredded"
    except SealBroken:
        return "payload_unreadable"
    return replace(cargo, body=body)


def dead(leased: Leased, reason: DeadReason) -> Settled:
    """Return the end of a delivery that has nothing to bring."""
    metrics.DEAD_LETTERS.labels(reason).inc()
    return Settled(leased, "dead", leased.attempts, reason=reason)
