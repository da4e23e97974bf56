# ruff: noqa: INP001, T201 - a program of its own, which tells what it does
"""An internal consumer of Crossdock's events, with all that one needs to get right.

    NATS_URL=nats://127.0.0.1:4222 NATS_USER=billing NATS_PASSWORD=… \
    CROSSDOCK_URL=http://127.0.0.1:8080 CROSSDOCK_KEY=… \
    python consumer.py billing.db

For Python 3.11 and later. Its work stands in `effect`; the rest may stay as it is.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Mapping

import nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

STREAM = "EVENTS"
API_PREFIX = "CROSSDOCK.API"
BATCH = 50
PULLS = int(os.environ.get("PULLS", "1000"))
"""How many pulls one inbox serves."""
LOOK_S = float(os.environ.get("LOOK_S", "60"))
"""How often to look whether the stream forgot events that were not read."""

TABLES = """
CREATE TABLE IF NOT EXISTS done (id TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS latest (source TEXT, type TEXT, sequence INTEGER, id TEXT, payload BLOB,
    PRIMARY KEY (source, type));
CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), stream_seq INTEGER,
    id TEXT, source TEXT);
"""


class Consumer:
    """Does each event's work once, in a database of its own."""

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.executescript(TABLES)

    def do(self, message: Msg, payload: bytes) -> str:
        """Do the work of an event and note that it is done, both or neither.

        At least once means that an event may come again: after a crash, after a republish. Its
        `ce-id` is the same each time.
        """
        headers: Mapping[str, str] = message.headers or {}
        name = headers["ce-id"]
        self.db.execute("BEGIN IMMEDIATE")
        try:
            row = self.db.execute(
                "INSERT INTO done VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING id",
                (name, time.time()),
            ).fetchone()
            said = "again" if row is None else self.effect(headers, payload)
            self.db.execute(
                "INSERT INTO place VALUES (1, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET"
                " stream_seq = excluded.stream_seq, id = excluded.id, source = excluded.source"
                " WHERE excluded.stream_seq > stream_seq",
                (message.metadata.sequence.stream, name, headers["ce-source"]),
            )
            self.db.execute("COMMIT")
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        return said

    def effect(self, headers: Mapping[str, str], payload: bytes) -> str:
        """Keep the newest payload of each source and type.

        Events come about in order, not exactly: `ce-sequence` tells which of two was accepted
        later, and so an older one never overwrites a newer one.
        """
        row = self.db.execute(
            "INSERT INTO latest VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, type) DO UPDATE SET"
            " sequence = excluded.sequence, id = excluded.id, payload = excluded.payload"
            " WHERE excluded.sequence > sequence RETURNING id",
            (
                headers["ce-source"],
                headers["ce-type"],
                int(headers["ce-sequence"]),
                headers["ce-id"],
                payload,
            ),
        ).fetchone()
        return "older" if row is None else "done"

    def place(self) -> tuple[int, str, str] | None:
        """Return the last event's place in the stream, its id, and its tenant's."""
        row = self.db.execute("SELECT stream_seq, id, source FROM place").fetchone()
        return None if row is None else (row[0], row[1], row[2].split("/")[2])


async def payload_of(message: Msg) -> bytes:
    """Return an event's payload; a large or encrypted one is fetched from the REST API."""
    reference = (message.headers or {}).get("ce-dataref")
    if reference is None:
        return message.data
    request = urllib.request.Request(  # noqa: S310 - the installation's own address
        os.environ["CROSSDOCK_URL"] + reference,
        headers={"Authorization": f"Bearer {os.environ['CROSSDOCK_KEY']}"},
    )

    def fetch() -> bytes:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - likewise
            return bytes(answer.read())

    return await asyncio.to_thread(fetch)


async def look_for_a_gap(oldest: JetStreamContext.PullSubscription, consumer: Consumer) -> None:
    """Say how to fill the gap where the stream may have forgotten events that were not read.

    The consumer beside ours shows the oldest event that is still kept. If that is not newer than
    the last one we did, nothing between them can be missing.
    """
    place = consumer.place()
    try:
        (message,) = await oldest.fetch(1, timeout=5)
    except TimeoutError:  # nothing new
        return
    if place is not None and message.metadata.sequence.stream > place[0]:
        print(
            f"gap: events after {place[1]} may be missing; to have them again:"
            f" crossdock events republish --tenant {place[2]} --after {place[1]}",
            flush=True,
        )


async def bound(
    jetstream: JetStreamContext, name: str, before: JetStreamContext.PullSubscription | None
) -> JetStreamContext.PullSubscription:
    """Return a fresh subscription to a consumer, in place of another.

    The server remembers where each pull's answers go for as long as their inbox is subscribed.
    """
    if before is not None:
        await before.unsubscribe()
    return await jetstream.pull_subscribe_bind(name, stream=STREAM)


async def main(path: str) -> None:
    """Read until told to stop."""
    consumer = Consumer(path)
    name = os.environ["NATS_USER"]
    connection = await nats.connect(
        os.environ["NATS_URL"],
        user=name,
        password=os.environ["NATS_PASSWORD"],
        max_reconnect_attempts=-1,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    jetstream = connection.jetstream(prefix=API_PREFIX)
    events = oldest = None
    looked = float("-inf")
    pulls = 0
    while not stop.is_set():
        try:
            if events is None or oldest is None or pulls % PULLS == 0:
                events = await bound(jetstream, name, events)
                oldest = await bound(jetstream, f"{name}-oldest", oldest)
            pulls += 1
            if time.monotonic() - looked > LOOK_S:
                await look_for_a_gap(oldest, consumer)
                looked = time.monotonic()
            messages = await events.fetch(BATCH, timeout=1)
        except TimeoutError:  # nothing new
            continue
        except NatsError as error:  # the server is away for a moment, or reads its users again
            print(f"waiting: {error}", flush=True)
            await asyncio.sleep(1)
            continue
        for message in messages:
            try:
                said = consumer.do(message, await payload_of(message))
            except (OSError, sqlite3.Error) as error:
                await message.nak(delay=5)
                print(f"later: {error}", flush=True)
            else:
                await message.ack()  # now, and not before, may the stream consider it done
                print(f"{said} {(message.headers or {})['ce-id']}", flush=True)
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
