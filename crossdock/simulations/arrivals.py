"""Where a simulated webhook comes from: a sample, a stored event, or what somebody pasted."""

import time
from collections.abc import Callable
from uuid import UUID

from msgspec.structs import replace

from crossdock import ids
from crossdock.errors import Conflict, Invalid, Violation
from crossdock.inbound.events.service import Events
from crossdock.inbound.model import OpenedSource, Source
from crossdock.inbound.sources import rules
from crossdock.inbound.sources.examples import Pasted
from crossdock.inbound.sources.recipes import moment_of
from crossdock.inbound.sources.service import Sources
from crossdock.presets import Written, of_source
from crossdock.samples.composing import Webhook, signed, signer_of
from crossdock.simulations.model import Incoming, Subject

SIGNED_ANEW = "The signature is right: it was made anew, for signatures are not kept."


class Arrivals:
    """Makes webhooks for a tenant's sources."""

    def __init__(
        self,
        sources: Sources,
        events: Events,
        *,
        public_url: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Say of what.

        Args:
            sources: Finds the source, and opens its secrets.
            events: Finds what is stored.
            public_url: Where senders reach this installation, without a slash at the end.
            clock: Unix seconds.
        """
        self._sources = sources
        self._events = events
        self._public_url = public_url
        self._clock = clock

    async def compose(
        self,
        tenant_id: UUID,
        source_id: UUID,
        sample: str | None = None,
        event_type: str | None = None,
    ) -> tuple[Source, Webhook]:
        """Return a source and a sample, signed as its provider would, for the source's own door.

        Raises:
            NotFound: this tenant has no such source.
            Invalid: its preset has no such sample.
            Conflict: nobody here can sign for it, or it has no door.
        """
        opened = await self._sources.get(tenant_id, source_id)
        now = self._clock()
        webhook = self._signed(opened, _sample(opened, sample, event_type, now), now)
        return opened.source, webhook

    async def arrive(self, tenant_id: UUID, source_id: UUID, subject: Subject) -> Incoming:
        """Return what comes in, however it was named.

        Raises:
            NotFound: this tenant has no such source, or no such event.
            Invalid: the source's preset has no such sample.
            Conflict: nobody here can sign for this source.
        """
        opened = await self._sources.get(tenant_id, source_id)
        if subject.request is not None:
            return self._pasted(opened, subject.request)
        if subject.event_id is not None:
            return await self._stored(tenant_id, opened, subject.event_id)
        now = self._clock()
        return self._written(opened, _sample(opened, subject.sample, None, now), now)

    def _pasted(self, opened: OpenedSource, request: Pasted) -> Incoming:
        """Return a request as it came, by the clock of this moment: an old one is refused."""
        now = self._clock()
        return Incoming(
            source=opened.source,
            secrets=tuple(self._sources.live_secrets(opened.source)),
            request=replace(request, url=request.url or self._url(opened)),
            content_type=request.texts.get("content-type", ""),
            now=now,
            event_id=ids.new(now),
        )

    async def _stored(self, tenant_id: UUID, opened: OpenedSource, event_id: UUID) -> Incoming:
        """Return a stored event as it came, at the time when it came."""
        event = await self._events.get(tenant_id, event_id)
        written = Written(event.body, event.content_type, tuple(event.headers))
        # Where the body says when it was sent, that is its time: nobody can sign it another.
        source = opened.source
        said = moment_of(source.scheme, source.recipe, Pasted([], event.body, ""))
        now = said or ids.time_of(event.id).timestamp()
        incoming = self._written(opened, written, now, event.provider_id)
        return replace(incoming, event_id=event.id, note=SIGNED_ANEW, published_as=event.event_type)

    def _written(
        self, opened: OpenedSource, written: Written, now: float, message_id: str | None = None
    ) -> Incoming:
        webhook = Webhook("", dict(written.headers), written.body)
        if opened.has_door:
            webhook = self._signed(opened, written, now, message_id)
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in webhook.headers.items()
        ]
        return Incoming(
            source=opened.source,
            secrets=tuple(self._sources.live_secrets(opened.source)),
            request=Pasted(headers, webhook.body, webhook.url),
            content_type=written.content_type,
            now=now,
            event_id=ids.new(now),
        )

    def _signed(
        self, opened: OpenedSource, written: Written, now: float, message_id: str | None = None
    ) -> Webhook:
        source = opened.source
        if source.scheme == rules.OWN:
            raise Conflict("This source takes what its tenant publishes, and has no door.")
        signer = signer_of(source.scheme, source.recipe, self._sources.live_secrets(source))
        name = message_id or f"msg_{ids.new().hex}"
        return signed(signer, written, self._url(opened), now=now, message_id=name)

    def _url(self, opened: OpenedSource) -> str:
        return f"{self._public_url}/in/{opened.token}"


def _sample(opened: OpenedSource, name: str | None, event_type: str | None, now: float) -> Written:
    preset = of_source(opened.source)
    sample = preset.sample(name, event_type)
    if sample is None:
        known = ", ".join(f"`{one.name}` ({one.event_type})" for one in preset.samples)
        where = "/event_type" if event_type is not None else "/sample"
        raise Invalid(None, Violation(where, f"The preset `{preset.name}` has {known}."))
    return sample.write(ids.new().hex, now)
