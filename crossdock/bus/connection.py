"""A process's connection to NATS: it waits for a broker that is away, and comes back by itself."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import AuthorizationError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from crossdock.config import NatsSettings
from crossdock.errors import BrokerUnavailable, ConfigurationError

CONNECT_TIMEOUT_S: Final = 2.0
REQUEST_TIMEOUT_S: Final = 5.0
RETRY_S: Final = 0.25
PING_INTERVAL_S: Final = 5
MAX_OUTSTANDING_PINGS: Final = 2
"""A broker that says nothing for ten to fifteen seconds is left for another one, or itself anew."""

log = structlog.get_logger(__name__)


class Bus:
    """A connection that is up, or on its way back."""

    def __init__(self, client: Client, settings: NatsSettings) -> None:
        self.client: Final = client
        self.settings: Final = settings

    @property
    def is_connected(self) -> bool:
        """Whether the connection is up right now."""
        return bool(self.client.is_connected)

    @property
    def server_version(self) -> str:
        """The version of the server that this is, or was last, connected to."""
        version = self.client.connected_server_version
        return f"{version.major}.{version.minor}.{version.patch}"

    def jetstream(self, timeout_s: float = REQUEST_TIMEOUT_S) -> JetStreamContext:
        """Return the client's JetStream; wrap what is called on it in `as_unavailable`."""
        return self.client.jetstream(timeout=timeout_s)

    async def round_trip(self, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Wait until the broker has read all that was sent.

        Raises:
            BrokerUnavailable: it did not answer in time.
        """
        with as_unavailable():
            await self.client.flush(timeout=timeout_s)  # type: ignore[arg-type]
        if not self.is_connected:  # the client ends the wait for an answer that can't come
            raise BrokerUnavailable

    async def publish(self, subject: str, data: bytes) -> None:
        """Say something to whoever listens right now; nobody keeps it.

        Raises:
            BrokerUnavailable: it is too large for the broker, or there is no connection.
        """
        with as_unavailable():
            await self.client.publish(subject, data)

    async def keep(self, subject: str, data: bytes, *, name: str) -> None:
        """Have a stream keep a message, and wait for its word; for what is rare.

        Args:
            subject: one of the stream's.
            data: the message.
            name: the same one within the broker's window is kept once.

        Raises:
            BrokerUnavailable: it is not kept, or nobody knows.
        """
        with as_unavailable():
            await self.jetstream().publish(subject, data, headers={"Nats-Msg-Id": name})

    async def subscribe(
        self, subject: str, hear: Callable[[str, bytes], Awaitable[None]]
    ) -> "Hearing":
        """Call `hear` with the subject and the words of everything that is said, one by one.

        What is said while the connection is away is missed; it goes on once it is back.

        Raises:
            BrokerUnavailable: there is no connection.
        """

        async def on_message(message: Msg) -> None:
            await hear(message.subject, message.data)

        with as_unavailable():
            return Hearing(await self.client.subscribe(subject, cb=on_message))

    async def overhear(self, subject: str, hear: "Callable[[Said], None]") -> "Hearing":
        """Call `hear` with everything that is said, headers and all; as `subscribe`.

        Raises:
            BrokerUnavailable: there is no connection.
        """

        async def on_message(message: Msg) -> None:
            hear(Said(message.subject, message.headers or {}, message.data))

        with as_unavailable():
            return Hearing(await self.client.subscribe(subject, cb=on_message))

    @property
    def comebacks(self) -> int:
        """How often the connection was lost and found again: what was said meanwhile was missed."""
        return int(self.client.stats["reconnects"])

    async def close(self) -> None:
        """Send what is buffered, then disconnect."""
        with as_unavailable():
            await self.client.close()


class Said(msgspec.Struct, frozen=True, gc=False):
    """A message on core NATS."""

    subject: str
    headers: dict[str, str]
    data: bytes


class Hearing:
    """A subscription on core NATS."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def end(self) -> None:
        """Hear no more."""
        with suppress(NatsError, OSError):  # it ended with its connection
            await self._subscription.unsubscribe()


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Turn what the client raises for a broker that is away, busy or starting into one error."""
    try:
        yield
    except (NatsError, OSError) as error:
        raise BrokerUnavailable(str(error) or type(error).__name__) from error


async def connect(
    settings: NatsSettings, *, name: str = "crossdock", wait_s: float | None = None
) -> Bus:
    """Return a connection, once there is one.

    Args:
        settings: where the broker is.
        name: what the broker's monitoring calls this connection.
        wait_s: how long to wait for a broker that is away; `None` is for ever.

    Raises:
        BrokerUnavailable: `wait_s` went by.
        ConfigurationError: the broker refuses the user or password.
    """
    tls = tls_context(settings)
    try:
        async with asyncio.timeout(wait_s):
            client = await _connected(settings, name, tls)
    except TimeoutError as error:
        raise BrokerUnavailable(f"NATS at {settings.url} is away.") from error
    bus = Bus(client, settings)
    log.info("broker_connected", url=settings.url, version=bus.server_version)
    return bus


def servers(settings: NatsSettings) -> list[str]:
    """Return the addresses of `NatsSettings.url`, each with a scheme."""
    addresses = [part.strip() for part in settings.url.split(",") if part.strip()]
    if not addresses:
        raise ConfigurationError("CROSSDOCK_NATS__URL names no address.")
    return [part if "://" in part else f"nats://{part}" for part in addresses]


def tls_context(settings: NatsSettings) -> ssl.SSLContext | None:
    """Return what TLS needs where it is configured, by a CA or by a `tls://` address."""
    if settings.tls_ca is None:
        wanted = any(address.startswith("tls://") for address in servers(settings))
        return ssl.create_default_context() if wanted else None
    try:
        return ssl.create_default_context(cafile=str(settings.tls_ca))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"CROSSDOCK_NATS__TLS_CA={settings.tls_ca}: {error}") from error


async def _connected(settings: NatsSettings, name: str, tls: ssl.SSLContext | None) -> Client:
    watch = _Watch(settings.url)
    client = Client()
    connecting = asyncio.ensure_future(
        client.connect(
            servers=servers(settings),
            name=name,
            user=settings.user,
            password=settings.password,
            tls=tls,
            connect_timeout=int(CONNECT_TIMEOUT_S),
            # Annotated as whole seconds, but only slept on.
            reconnect_time_wait=RETRY_S,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=PING_INTERVAL_S,
            max_outstanding_pings=MAX_OUTSTANDING_PINGS,
            error_cb=watch.on_error,
            reconnected_cb=watch.on_reconnected,
        )
    )
    try:
        await asyncio.wait({connecting, watch.refused}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        connecting.cancel()
        raise
    if not connecting.done():
        connecting.cancel()
        raise ConfigurationError(f"NATS at {settings.url} refuses this user or password.")
    connecting.result()
    watch.up()
    return client


class _Watch:
    """Says in the log, once each way, that the broker is away and that it is back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._said_away = False
        self._is_up = False
        self.refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_error(self, error: Exception) -> None:
        refused = isinstance(error, AuthorizationError) or "authorization" in str(error).lower()
        if refused and not self._is_up and not self.refused.done():
            self.refused.set_result(None)
        if not self._said_away:
            self._said_away = True
            reason = str(error) or type(error).__name__
            log.warning("broker_away", url=self._url, reason=reason)

    def up(self) -> None:
        self._is_up = True
        self._said_away = False

    async def on_reconnected(self) -> None:
        self.up()
        log.info("broker_reconnected", url=self._url)
