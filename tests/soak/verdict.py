"""The oracle's word at the end of a soak: nothing lost, nothing done twice, order kept."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from tests.faults.rest import Rest
from tests.soak.endpoints import Endpoints
from tests.soak.sending import Accepted, Sender

ASKING: Final = 12
SHOWN: Final = 20


class Verdict(msgspec.Struct, frozen=True):
    """accepted = delivered + waiting + dead letters + kept as unwanted + lost."""

    accepted: int
    delivered: int
    waiting: int
    dead: int
    unwanted: int
    """Stored, and no destination's: as their filter says."""
    repeats: int
    lost: list[str]
    doubled: list[str]
    disordered: list[str]
    odd: list[str]
    """What came changed, or where it should not."""

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.doubled or self.disordered or self.odd)


async def judge(sender: Sender, endpoints: Endpoints, rests: Mapping[str, Rest]) -> Verdict:
    """Compare the sender's book with what came, and ask REST about the rest.

    What comes while it asks was late, and is delivered.

    Args:
        sender: who wrote down what was accepted.
        endpoints: what came.
        rests: a caller for each tenant.
    """
    gate = asyncio.Semaphore(ASKING)
    missing = {s: one for s, one in sender.accepted.items() if s not in endpoints.taken}

    async def told(serial: str, one: Accepted) -> tuple[str, str]:
        async with gate:
            fate = await _fate(rests[one.tenant], one)
            return serial, "late" if serial in endpoints.taken else fate

    fates = dict(await asyncio.gather(*(told(serial, one) for serial, one in missing.items())))
    counted = Counter(fates.values())
    strange = [
        f"{serial} was taken as {endpoints.taken[serial]}, accepted as {one.event_id}"
        for serial, one in sender.accepted.items()
        if serial in endpoints.taken and not await _is_same(rests, one, endpoints.taken[serial])
    ]
    return Verdict(
        accepted=len(sender.accepted),
        delivered=len(sender.accepted) - len(missing) + counted["inbox"] + counted["late"],
        waiting=counted["pending"],
        dead=counted["dead"],
        unwanted=counted["unwanted"],
        repeats=endpoints.repeats,
        lost=[
            f"{missing[serial].way} {missing[serial].event_id}: {fate}"
            for serial, fate in fates.items()
            if fate not in {"inbox", "late", "pending", "dead", "unwanted"}
        ],
        doubled=[f"{serial}: {ids}" for serial, ids in endpoints.others.items()] + strange,
        disordered=_disorder(sender, endpoints),
        odd=endpoints.odd,
    )


async def _fate(rest: Rest, one: Accepted) -> str:
    """Return where an event is that no endpoint took."""
    found = await rest.call("GET", f"/v1/events/{one.event_id}")
    if found.status != 200:
        return f"GET answers {found.status}"
    event = found.json()
    states = [each["state"] for each in await rest.all(f"/v1/deliveries?event_id={event['id']}")]
    if not states:
        is_right = one.way == "unwanted" and event["matched"] == 0
        return "unwanted" if is_right else "no delivery"
    if states == ["delivered"]:
        return "inbox" if one.way == "inbox" else "delivered to nobody"
    return states[0] if len(states) == 1 and states[0] in {"pending", "dead"} else str(states)


async def _is_same(rests: Mapping[str, Rest], one: Accepted, taken_as: str) -> bool:
    """Tell whether an event was delivered under its own id, or under that of its first copy."""
    if one.event_id == taken_as:
        return True
    shown = await rests[one.tenant].call("GET", f"/v1/events/{one.event_id}")
    return shown.status == 200 and shown.json()["id"] == taken_as


def _disorder(sender: Sender, endpoints: Endpoints) -> list[str]:
    """Return what was tried after its successor in a line had been."""
    place = {
        serial: (line, number)
        for line, serials in sender.lines.items()
        for number, serial in enumerate(serials)
    }
    reached: dict[tuple[str, int], int] = {}
    found: list[str] = []
    for serial in endpoints.lines:
        if serial not in place:
            continue
        line, number = place[serial]
        if number < reached.get(line, 0):
            found.append(f"{serial}: {number} after {reached[line]} in {line}")
        reached[line] = max(number, reached.get(line, 0))
    return found
