"""The step `transform`: destinations' scripts, run as a dispatcher would run them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.dispatch.transforming import Away, Sent, transform
from crossdock.delivery.exchange import CallFailed
from crossdock.delivery.model import About, Cargo, Target
from crossdock.simulations.model import MOST_DESTINATIONS, Delivered, Incoming, Step
from crossdock.transforms.process import WALL_S
from crossdock.transforms.service import WAIT_S, Sandbox

Load = Sent | Away | CallFailed
"""What goes out, that nothing does, or why nothing can."""

AWAY: Final = "The script returned nothing: the delivery would be cancelled."
_SECRET: Final = ("authorization", "cookie", "signature", "token", "secret", "api-key")
"""Parts of names of headers that are not kept of an event, so no script sees them."""
_FRAME: Final = frozenset({"connection", "content-length", "content-type", "host"})
"""Nor these."""


def cargo(incoming: Incoming, event_type: str) -> Cargo:
    """Return what comes in as a dispatcher would have it."""
    headers = [
        (name, value)
        for name, value in incoming.request.texts.items()
        if name not in _FRAME and not any(part in name for part in _SECRET)
    ]
    about = About(incoming.source.id, event_type, None, headers)
    return Cargo(incoming.event_id, incoming.content_type, "", incoming.request.body, about=about)


async def loads(sandbox: Sandbox, wanting: Sequence[Destination], given: Cargo) -> dict[UUID, Load]:
    """Run the scripts of destinations, of the first few that would be called."""
    return {one.id: await _load(sandbox, target(one), given) for one in wanting[:MOST_DESTINATIONS]}


async def _load(sandbox: Sandbox, whose: Target, given: Cargo) -> Load:
    try:
        return await transform(sandbox, whose, given, WAIT_S + WALL_S)
    except CallFailed as failure:
        return failure


def step(wanting: Sequence[Destination], made: dict[UUID, Load]) -> Step:
    """Say what came of the scripts."""
    theirs = [one for one in wanting if one.transform is not None]
    if not theirs:
        return Step(name="transform", outcome="skipped", detail="No transformation is configured.")
    found = tuple(
        Delivered(destination_id=one.id, name=one.name, error=_error(made[one.id]))
        for one in theirs
        if one.id in made
    )
    failed = sum(isinstance(made[one.destination_id], CallFailed) for one in found)
    left = len(theirs) - len(found)
    detail = f"Transformed: {len(found) - failed} of {len(found)}."
    return Step(
        name="transform",
        outcome="failed" if failed else "passed",
        detail=detail + (f" Not tried: {left}." if left else ""),
        destinations=found,
    )


def _error(load: Load) -> str | None:
    match load:
        case Away():
            return AWAY
        case CallFailed():
            return str(load)
        case _:
            return None


def target(destination: Destination) -> Target:
    """Return a destination as a dispatcher would have it."""
    return Target(
        tenant_id=destination.tenant_id,
        id=destination.id,
        url=destination.url,
        enabled=True,
        secrets=destination.secrets,
        retry=None,
        timeout_s=destination.timeout_s,
        failing_s=None,
        version=destination.version,
        kind=destination.kind,
        settings=destination.settings,
        credentials=destination.credentials,
        transform=destination.transform,
        signing=destination.signing,
    )
