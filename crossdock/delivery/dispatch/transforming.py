"""The step before an attempt: a destination's script makes of the event what is sent."""

from typing import Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock.db.schema import decode_headers
from crossdock.delivery.exchange import CallFailed
from crossdock.delivery.model import Cargo, Target
from crossdock.transforms.model import Dropped, Event, TransformFailed
from crossdock.transforms.process import WALL_S
from crossdock.transforms.service import WAIT_S, Sandbox

SHORTEST_WAIT_S: Final = 0.5
"""For a turn, even where little is left of a lease."""


class Sent(msgspec.Struct, frozen=True):
    """What goes out."""

    cargo: Cargo
    """The event's, or with what the script returned in it."""
    headers: dict[str, str] = {}
    """The script's own; checked."""


class Away(msgspec.Struct, frozen=True):
    """The script returned nothing: nothing goes out."""


class Unsendable(CallFailed):
    """The script failed, and would again."""


async def transform(
    sandbox: Sandbox | None, target: Target, cargo: Cargo, left_s: float
) -> Sent | Away:
    """Run a destination's script over an event.

    Args:
        sandbox: runs it; `None` where there is none.
        target: whose script.
        cargo: the event, its payload opened.
        left_s: until the attempt would come too late for its lease.

    Raises:
        Unsendable: the script failed.
        CallFailed: of kind `transform`; another time it may come to something.
    """
    if target.transform is None:
        return Sent(cargo)
    if sandbox is None:
        raise CallFailed("transform", "no scripts are run here")
    wait_s = min(WAIT_S, max(SHORTEST_WAIT_S, left_s - WALL_S))
    event = seen(target.tenant_id, cargo)
    try:
        made = await sandbox.apply(target.tenant_id, target.transform, event, wait_s=wait_s)
    except TransformFailed as failure:
        words = str(failure) if cargo.data_key is None else _discreet(failure)
        if failure.is_final:
            raise Unsendable("transform", words) from failure
        raise CallFailed("transform", words) from failure
    if isinstance(made, Dropped):
        return Away()
    return Sent(replace(cargo, body=made.body, content_type=made.content_type), made.headers)


def _discreet(failure: TransformFailed) -> str:
    """Return what may rest in plain of a failure over a sealed payload, which it may quote."""
    where = "" if failure.line is None else f" (line {failure.line})"
    return f"{failure.kind}{where}; its words are not kept, for the payload is sealed"


def seen(tenant_id: UUID, cargo: Cargo) -> Event:
    """Return an event as a script sees it.

    Raises:
        CallFailed: too little is known of it, which is ours to mend.
    """
    about = cargo.about
    if about is None:
        raise CallFailed("internal", f"nothing is known of an event of {tenant_id}")
    pairs = about.headers
    if isinstance(pairs, bytes):
        pairs = decode_headers(pairs)
    return Event.of(
        event_id=cargo.event_id,
        source_id=about.source_id,
        event_type=about.event_type,
        content_type=cargo.content_type,
        headers=pairs,
        body=cargo.body,
    )
