"""The oracle of every fault test: what was answered 202 is not lost, and nothing happens twice.

    accepted ⊆ delivered + waiting + dead letters,
    each effect once per dedupe key,
    order kept per key where it was asked for.

What was accepted is known from the sender's book, what was delivered from the receiver: both stand
outside the system. The system is asked, over REST, only about what did not come.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

from crossdock.samples.sender import Composer
from tests.faults.receiver import Arrival, Receiver
from tests.faults.rest import Reply, Rest
from tests.faults.stack import Stack
from tests.faults.traffic import Book, Traffic
from tests.faults.waiting import until

SETTLED_S: Final = 60.0
ASKING: Final = 16
"""Questions at a time about what was accepted."""
SHOWN: Final = 10
JSON: Final = {"content-type": "application/json"}


class Fate(NamedTuple):
    """What REST says of one accepted event."""

    event_id: str
    resolved: str | None
    """The id of the event it stands for; `None` where GET does not find it."""
    states: tuple[str, ...]
    """Of its deliveries, where they were asked for."""


class Verdict(NamedTuple):
    """What the oracle found."""

    accepted: int
    delivered: int
    waiting: int
    dead: int
    repeats: int
    """Requests for what had been taken before: allowed, and worth knowing."""
    lost: list[str]
    unresolved: list[str]
    doubled: list[str]
    strange: list[str]
    disordered: list[str]
    """What came after its successor in the same line."""

    def __str__(self) -> str:
        return (
            f"accepted={self.accepted} delivered={self.delivered} waiting={self.waiting}"
            f" dead={self.dead} repeats={self.repeats} lost={len(self.lost)}{self.lost[:SHOWN]}"
            f" unresolved={len(self.unresolved)}{self.unresolved[:SHOWN]}"
            f" doubled={len(self.doubled)}{self.doubled[:SHOWN]}"
            f" strange={len(self.strange)}{self.strange[:SHOWN]}"
            f" disordered={len(self.disordered)}{self.disordered[:SHOWN]}"
        )

    def is_clean(self) -> bool:
        """Tell whether every promise was kept."""
        return not (self.lost or self.unresolved or self.doubled or self.strange or self.disordered)


class System(Protocol):
    """What is observed, however it was started."""

    def rest(self, key: str | None = None) -> Rest:
        """Return a caller of its REST API."""

    def tail(self) -> str:
        """Return the end of what it wrote."""


class Observed:
    """A system with one tenant, a source, a destination that takes everything, and an observer."""

    def __init__(self, system: System, receiver: Receiver, key: str, composer: Composer) -> None:
        self.system = system
        self.receiver = receiver
        self.key = key
        self.composer = composer

    def traffic(
        self, *, rate: float = 150.0, connections: int = 16, retrying: bool = False
    ) -> Traffic:
        """Return webhooks that flow while its block lasts, with a book of their own."""
        return Traffic(Book(), self.composer, rate=rate, connections=connections, retrying=retrying)

    async def check(self, *books: Book, within: float = SETTLED_S) -> Verdict:
        """Wait until all is delivered, and hold the system to its promises.

        The endpoint takes everything, so that in the end nothing should wait or be dead; an
        accepted webhook that does is not lost, but its test wants to know.
        """
        accepted = {event: serial for book in books for event, serial in book.accepted.items()}
        deadline = monotonic() + within
        while monotonic() < deadline:
            taken = self.receiver.taken()
            if all(serial in taken for serial in accepted.values()):
                break
            await asyncio.sleep(0.1)
        async with self.system.rest(self.key) as rest:
            verdict = await judge(rest, accepted, self.receiver)
        print(verdict)  # noqa: T201 - pytest shows it where a test fails
        assert verdict.is_clean(), f"{verdict}\n{self.system.tail()}"
        assert verdict.delivered == verdict.accepted, f"{verdict}\n{self.system.tail()}"
        return verdict


class Scene(Observed):
    """What is observed is a whole `crossdock up`."""

    def __init__(self, stack: Stack, receiver: Receiver, key: str, composer: Composer) -> None:
        super().__init__(stack, receiver, key, composer)
        self.stack = stack


async def observe(system: System, receiver: Receiver, key: str, **options: Any) -> Observed:
    """Give a tenant a source, and a destination at `/all` for everything."""
    async with system.rest(key) as rest:
        await rest.post("/v1/destinations", {"name": "all", "url": f"{receiver.url}/all"} | options)
        _, composer = await open_source(rest, "standard", "observed")
    return Observed(system, receiver, key, composer)


@asynccontextmanager
async def open_scene(folder: Path, **environ: str) -> AsyncIterator[Scene]:
    """Start a stack with one tenant, one source and one destination."""
    async with Receiver() as receiver, Stack(folder, environ=environ) as stack:
        tenant = await stack.tenant("Observed")
        async with stack.rest(tenant.key) as rest:
            await rest.post("/v1/destinations", {"name": "all", "url": f"{receiver.url}/all"})
            _, composer = await open_source(rest, "standard", "observed")
        yield Scene(stack, receiver, tenant.key, composer)


async def judge(
    rest: Rest,
    accepted: dict[str, str],
    receiver: Receiver,
    lines: Iterable[Sequence[str]] = (),
    *,
    path: str = "",
) -> Verdict:
    """Compare what was accepted with what came, and ask REST about the rest.

    Args:
        rest: a caller as the tenant.
        accepted: event ids answered 202, and the serials they were answered for.
        receiver: what came.
        lines: serials in their order, a sequence for each key that is to be kept in order.
        path: of the receiver, where order was asked for.
    """
    taken = receiver.taken()
    gate = asyncio.Semaphore(ASKING)

    async def told(event_id: str) -> Fate:
        async with gate:
            return await _fate(rest, event_id, ask=accepted[event_id] not in taken)

    fates = await asyncio.gather(*(told(event_id) for event_id in accepted))
    missing = [fate for fate in fates if accepted[fate.event_id] not in taken]
    waiting = [fate for fate in missing if "pending" in fate.states]
    dead = [fate for fate in missing if "dead" in fate.states and fate not in waiting]
    known = {fate.event_id for fate in (*waiting, *dead)}
    serials = set(accepted.values())
    return Verdict(
        accepted=len(accepted),
        delivered=len(fates) - len(missing),
        waiting=len(waiting),
        dead=len(dead),
        repeats=_repeats(receiver, serials),
        lost=[fate.event_id for fate in missing if fate.event_id not in known],
        unresolved=[fate.event_id for fate in fates if fate.resolved is None],
        doubled=[
            f"{serial}: {sorted(taken[serial])}"
            for serial in serials
            if len(taken.get(serial, ())) > 1
        ],
        strange=[
            f"{fate.event_id} is {fate.resolved}, delivered was {sorted(came)}"
            for fate in fates
            if fate.resolved is not None
            and (came := taken.get(accepted[fate.event_id]))
            and fate.resolved not in came
        ],
        disordered=disorder(receiver.at(path), lines),
    )


def disorder(arrivals: Iterable[Arrival], lines: Iterable[Sequence[str]]) -> list[str]:
    """Return what was tried after its successor in a line had been.

    A line has one delivery in flight at its head, and what is recorded as delivered is not tried
    again: so along a line each attempt is of the same webhook as the one before, or of a later one.
    """
    place = {
        serial: (line, number)
        for line, serials in enumerate(lines)
        for number, serial in enumerate(serials)
    }
    found: list[str] = []
    reached: dict[int, int] = {}
    for arrival in arrivals:
        if arrival.serial not in place:
            continue
        line, number = place[arrival.serial]
        if number < reached.get(line, 0):
            found.append(f"{arrival.serial}: {number} after {reached[line]} in line {line}")
        reached[line] = max(number, reached.get(line, 0))
    return found


async def _fate(rest: Rest, event_id: str, *, ask: bool) -> Fate:
    async def told() -> Reply | None:
        answer = await rest.call("GET", f"/v1/events/{event_id}")
        return None if answer.status == 503 else answer

    reply = await until(told, f"an answer about {event_id}")
    assert reply is not None
    if reply.status != 200:
        return Fate(event_id, None, ())
    resolved: str = reply.json()["id"]
    if not ask:
        return Fate(event_id, resolved, ())
    deliveries = await rest.all(f"/v1/deliveries?event_id={resolved}")
    return Fate(event_id, resolved, tuple(delivery["state"] for delivery in deliveries))


def _repeats(receiver: Receiver, serials: set[str]) -> int:
    seen = Counter(
        (arrival.path, arrival.event_id)
        for arrival in receiver.arrivals
        if arrival.serial in serials and arrival.status < 300
    )
    return sum(count - 1 for count in seen.values())


async def open_source(rest: Rest, scheme: str, name: str) -> tuple[Any, Composer]:
    """Make a source of which webhooks are taken from now on, and someone who signs for it."""
    made = await rest.post("/v1/sources", {"name": name, "scheme": scheme})
    composer = Composer(scheme, made["ingest_url"], made["secret"])
    await live(rest, made["ingest_url"])
    return made, composer


async def live(rest: Rest, ingest_url: str) -> None:
    """Wait until the gateways know a source that wants signatures, by sending it none."""

    async def is_known() -> bool:
        reply = await rest.call("POST", ingest_url, raw=b"", headers=JSON)
        return reply.status == 401

    await until(is_known, f"a gateway that knows {ingest_url}", within=10)
