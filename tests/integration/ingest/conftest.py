"""The ingest path in this process, on a broker of its own, with sources in memory."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from crossdock import ids, native
from crossdock.bus import Bus, connect
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import GatewaySettings
from crossdock.embedded import EmbeddedNats
from crossdock.inbound.prepared import PreparedSource
from crossdock.inbound.sealing import secret_context
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.seal import Sealer
from gateway.ingest import Ingest
from proto import subjects
from proto.ingest import IngestedV1, decoder
from proto.settings import SourceSettings

SETTINGS = GatewaySettings(public_url="https://hooks.example", publish_timeout_s=1.0)


class Source(NamedTuple):
    """A source as its provider knows it."""

    token: str
    tenant_id: bytes
    source_id: bytes
    recipe: bytes
    """With its secrets."""

    def signed(self, body: bytes, now: float, query: str = "") -> dict[str, str]:
        """Return the headers that a provider would send with this."""
        url = f"{SETTINGS.public_url}/in/{self.token}{query}"
        return dict(native.Signer(self.recipe).sign("POST", url, body, now))


class Sources:
    """The sources there are."""

    def __init__(self) -> None:
        self.found: dict[str, PreparedSource] = {}
        self._sealer = Sealer(bytes(32))

    def get(self, token: str) -> PreparedSource | None:
        return self.found.get(token)

    async def lookup(self, token: str) -> PreparedSource | None:
        return self.found.get(token)

    def add(self, scheme: str, secret: str = "", *, recipe: Any = None, **fields: Any) -> Source:
        """Add one, sealed as it travels."""
        tenant, source = ids.new(), ids.new()
        texts = [secret] if secret else []
        rules = {"scheme": scheme, **(recipe or {})}
        sealed = tuple(
            SealedSecret(
                str(number),
                self._sealer.seal(text.encode(), context=secret_context(tenant, source)),
            )
            for number, text in enumerate(texts)
        )
        settings = SourceSettings(
            version=1,
            tenant_id=tenant.bytes,
            source_id=source.bytes,
            recipe=msgspec.json.encode(rules),
            secrets=sealed,
            **fields,
        )
        token = source.hex
        self.found[token] = PreparedSource(settings, self._sealer)
        whole = msgspec.json.encode(rules | {"secrets": texts})
        return Source(token, tenant.bytes, source.bytes, whole)


@pytest.fixture
def sources() -> Sources:
    """An empty house."""
    return Sources()


@pytest.fixture
async def bus(private_nats: EmbeddedNats) -> AsyncIterator[Bus]:
    """A look into the broker."""
    found = await connect(private_nats.settings(), wait_s=10)
    await wait_for_streams(found)
    yield found
    await found.close()


@pytest.fixture
async def ingest(sources: Sources, bus: Bus) -> AsyncIterator[Ingest]:
    """The application below `/in/`."""
    publisher = Publisher(bus.settings, timeout_s=SETTINGS.publish_timeout_s)
    await publisher.wait_connected()
    yield Ingest(sources, publisher, SETTINGS)
    await publisher.close()


Post = Callable[..., Any]


@pytest.fixture
async def http(ingest: Ingest) -> AsyncIterator[httpx.AsyncClient]:
    """A provider's client."""
    transport = httpx.ASGITransport(ingest)
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
        yield client


async def events(bus: Bus) -> Mapping[str, IngestedV1]:
    """Return all that INGEST has, by the id that was answered."""
    jetstream = bus.jetstream()
    state = (await jetstream.stream_info(subjects.INGEST_STREAM)).state
    found = {}
    for sequence in range(max(1, state.first_seq), state.last_seq + 1):
        message = await jetstream.get_msg(subjects.INGEST_STREAM, sequence)
        assert message.data is not None
        found[(message.headers or {})["Nats-Msg-Id"]] = decoder.decode(message.data)
    return found
