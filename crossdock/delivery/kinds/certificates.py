"""TLS with a certificate of ours: one context for a destination, made aside, kept while it is new.

To make one takes tens of milliseconds (it reads the system's roots), so it is done on a thread,
once for all who wait. The pool of connections tells contexts apart: no connection that was
convinced by one certificate is used for another destination.
"""

import asyncio
import os
import ssl
import tempfile
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from crossdock.delivery.destinations.certificates import expires_at, load_key
from crossdock.delivery.destinations.credentials import MutualTls
from crossdock.delivery.exchange import CallFailed

CAPACITY: Final = 64
"""Each holds the system's roots: about a megabyte."""

Key = tuple[UUID, UUID]


class _Made(msgspec.Struct, frozen=True):
    version: int
    making: "asyncio.Task[ssl.SSLContext]"
    expires_at: datetime | None


class Contexts:
    """The contexts that this process calls with."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._made: OrderedDict[Key, _Made] = OrderedDict()

    def __len__(self) -> int:
        return len(self._made)

    async def get(self, key: Key, version: int, auth: MutualTls) -> ssl.SSLContext:
        """Return the context of a destination as it is in that version.

        Raises:
            CallFailed: of the kind `tls`, the certificate has expired or can't be used.
            OSError: the context can't be made just now.
        """
        found = self._made.get(key)
        if found is None or found.version != version:
            making = asyncio.create_task(asyncio.to_thread(_context, auth))
            making.add_done_callback(_seen)
            found = self._made[key] = _Made(version, making, expires_at(auth))
            while len(self._made) > self._capacity:
                self._made.popitem(last=False)
        self._made.move_to_end(key)
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            raise CallFailed("tls", "the certificate we are to show has expired")
        try:
            return await asyncio.shield(found.making)
        except (ssl.SSLError, ValueError, TypeError) as error:
            raise CallFailed("tls", "the certificate we are to show can't be used") from error
        except OSError:
            # No room for the file, or no descriptor: another time there may be.
            if self._made.get(key) is found:
                del self._made[key]
            raise


def _seen(task: "asyncio.Task[ssl.SSLContext]") -> None:
    """Look at what came of a task that perhaps nobody waits for."""
    if not task.cancelled():
        task.exception()


def _context(auth: MutualTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=auth.ca)
    # The standard library takes a key only from a file: it is there for a moment, sealed by a
    # password that is nowhere else.
    password = os.urandom(32).hex()
    key = load_key(auth.private_key)
    if key is None:
        raise ValueError("This is no key.")
    sealed = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode())
    )
    with tempfile.NamedTemporaryFile(prefix="crossdock-") as file:
        file.write(auth.certificate.encode() + b"\n" + sealed)
        file.flush()
        context.load_cert_chain(file.name, password=password)
    return context
