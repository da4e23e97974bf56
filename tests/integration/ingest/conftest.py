"""The ingest path in this process, on a broker of its own, with sources in memory."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from crossdock import ids, native
from crossdock.bus import Bus, connect
from crossdock.bus.objects import Objects, ObjectWriter
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import GatewaySettings
from crossdock.embedded import EmbeddedNats
from crossdock.inbound.refusals import Recorder
from crossdock.inbound.sources.prepared import PreparedSource
from crossdock.inbound.sources.sealing import secret_context
from crossdock.secrets.model import SealedSecret
from crossdock.secrets.payloads import wrap
from crossdock.secrets.seal import Sealer
from gateway.ingest import Ingest
from proto import subjects
from proto.ingest import IngestedV1, decoder
from proto.settings import SourceSettings, WrappedKey
from proto.subjects import BODIES_BUCKET

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
        self.held_to: dict[bytes, native.Schemas] = {}
        """By tenant."""
        self._sealer = Sealer(bytes(32))
        self._payloads = Sealer(b"wraps the data keys of a tenant.")

    def get(self, token: str) -> PreparedSource | None:
        return self.found.get(token)

    async def lookup(self, token: str) -> PreparedSource | None:
        return self.found.get(token)

    def schemas(self, tenant_id: bytes) -> native.Schemas | None:
        return self.held_to.get(tenant_id)

    def preparing(self, tenant_id: bytes) -> None:
        """Everything is compiled before it is added."""

    def holds_to(self, source: Source, mode: str, schema: object, name: str) -> None:
        """Hold a tenant's events of a type to a schema."""
        compiled = native.Schema(msgspec.json.encode(schema))
        self.held_to[source.tenant_id] = native.Schemas([(name, mode, 7, compiled)])

    def add(self, scheme: str, secret: str = "", *, recipe: Any = None, **fields: Any) -> Source:
        """Add one, sealed as it travels.

        Args:
            scheme: how it signs.
            secret: with what.
            recipe: the rest of its recipe.
            **fields: of its settings; a `data_key` of 32 bytes is wrapped.
        """
        tenant, source = ids.new(), ids.new()
        data_key = fields.get("data_key")
        if isinstance(data_key, bytes):
            key_id = ids.new()
            wrapped = wrap(self._payloads, tenant, key_id, data_key)
            fields["data_key"] = WrappedKey(key_id.bytes, wrapped)
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
        self.found[token] = PreparedSource(settings, self._sealer, self._payloads)
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
async def objects(bus: Bus) -> AsyncIterator[ObjectWriter]:
    """The way into the bucket of large bodies."""
    settings = msgspec.structs.replace(bus.settings, group_commit=False)
    publisher = Publisher(settings, timeout_s=SETTINGS.publish_timeout_s)
    await publisher.wait_connected()
    yield ObjectWriter(publisher, Objects(bus, BODIES_BUCKET), BODIES_BUCKET)
    await publisher.close()


@pytest.fixture
def recorder() -> Recorder:
    """What takes note of refusals."""
    return Recorder()


@pytest.fixture
def gateway_settings() -> GatewaySettings:
    """The gateway's."""
    return SETTINGS


@pytest.fixture
async def ingest(
    sources: Sources,
    bus: Bus,
    objects: ObjectWriter,
    recorder: Recorder,
    gateway_settings: GatewaySettings,
) -> AsyncIterator[Ingest]:
    """The application below `/in/`."""
    publisher = Publisher(bus.settings, timeout_s=SETTINGS.publish_timeout_s)
    await publisher.wait_connected()
    yield Ingest(sources, publisher, gateway_settings, objects=objects, recorder=recorder)
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


async def raw(bus: Bus) -> bytes:
    """Return all bytes that the broker keeps of INGEST and of the bucket of bodies."""
    jetstream = bus.jetstream()
    found = []
    for stream in (subjects.INGEST_STREAM, f"OBJ_{BODIES_BUCKET}"):
        state = (await jetstream.stream_info(stream)).state
        for sequence in range(max(1, state.first_seq), state.last_seq + 1):
            message = await jetstream.get_msg(stream, sequence)
            found += [message.data or b"", repr(message.headers).encode()]
    return b"".join(found)
