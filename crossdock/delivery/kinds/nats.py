"""A message on NATS: the event as a CloudEvent, on a subject of the tenant's own.

It is delivered once the stream has it. The broker knows a delivery's id for some minutes, so an
acknowledgement that was lost makes no second message; after that a repeat has the same `ce-id`.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from crossdock import ids, native
from crossdock.bus.publisher import Publisher
from crossdock.delivery.destinations.model import NatsSettings
from crossdock.delivery.dispatch.targets import Ready, media_type
from crossdock.delivery.exchange import CallFailed, Response
from crossdock.delivery.kinds.parcel import NONE, Parcel
from crossdock.delivery.model import Cargo
from crossdock.errors import BrokerUnavailable, TooLarge
from crossdock.inbound.cloud_events import Announced, carried, described
from crossdock.telemetry import trace
from proto import subjects

DELIVERED: Final = 200
"""What a delivery's history says of a message that the stream has."""
_OURS: Final = ("ce-", "nats-")
"""What says which event it is, and what tells the broker what to do, is not for scripts."""


class NatsCarrier:
    """Publishes, and waits for the broker's word."""

    def __init__(self, publisher: Publisher | None, *, most_bytes: int) -> None:
        """Say by what.

        Args:
            publisher: that does not publish in atomic batches: one delivery again among them would
                have the broker refuse the others too. `None` where there is no broker.
            most_bytes: of a body that goes along; a larger one is fetched by `ce-dataref`.
        """
        self._publisher = publisher
        self._most_bytes = most_bytes

    def label(
        self,
        cargo: Cargo,
        ready: Ready,
        now: float,  # noqa: ARG002 - as all carriers: nothing is signed
        extra: Mapping[str, str] = NONE,
    ) -> dict[str, str]:
        """Return the CloudEvent's attributes."""
        about = cargo.about
        if about is None:
            raise CallFailed("internal", "nothing is known of the event")
        event = Announced(
            tenant_id=ready.target.tenant_id,
            source_id=about.source_id,
            event_id=cargo.event_id,
            stream_seq=0,
            event_type=about.event_type,
            content_type=media_type(cargo.content_type),
            traceparent=trace.join(cargo.traceparent.encode()),
            body=self._carried(cargo),
            provider_id=about.provider_id,
        )
        beside = {name.lower(): value for name, value in extra.items()}
        kept = {name: value for name, value in beside.items() if not name.startswith(_OURS)}
        return {**kept, **dict(described(event))}

    async def carry(self, parcel: Parcel, ready: Ready, timeout_s: float) -> Response:
        """Publish it.

        Raises:
            CallFailed: the broker is away, or takes no such message.
        """
        settings, publisher = ready.target.settings, self._publisher
        if not isinstance(settings, NatsSettings) or publisher is None:
            raise CallFailed("internal", "there is no subject, or no broker")
        tenant = ids.encode("ten", parcel.leased.tenant_id)
        message = native.Message(
            subjects.out(tenant, settings.subject),
            self._carried(parcel.cargo) or b"",
            [("Nats-Msg-Id", ids.encode("dlv", parcel.leased.id)), *parcel.headers.items()],
        )
        try:
            async with asyncio.timeout(timeout_s):
                await publisher.publish(message)
        except BrokerUnavailable:
            raise CallFailed("connect", "the broker has not taken it") from None
        except TooLarge:
            raise CallFailed("refused", "the broker takes no message of this size") from None
        except TimeoutError:
            raise CallFailed("timeout", "") from None
        return Response(DELIVERED, [], b"", None)

    def _carried(self, cargo: Cargo) -> bytes | None:
        return carried(cargo.body, is_sealed=cargo.data_key is not None, most=self._most_bytes)
