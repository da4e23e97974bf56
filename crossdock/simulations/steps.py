"""The steps, one function each: what gateway, worker and dispatcher do, and nothing is stored."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from crossdock import native
from crossdock.delivery.client import Client
from crossdock.delivery.destinations.model import Destination
from crossdock.delivery.dispatch.targets import Ready
from crossdock.delivery.dispatch.transforming import Sent
from crossdock.delivery.exchange import CallFailed
from crossdock.delivery.kinds.http import HttpCarrier
from crossdock.inbound.sources import rules
from crossdock.secrets.seal import SealBroken, Sealer
from crossdock.simulations.model import (
    MOST_DESTINATIONS,
    Delivered,
    Incoming,
    Outcome,
    Step,
    StepName,
    Violated,
)
from crossdock.simulations.transforming import Load, target

LONGEST_S: Final = 30.0
"""For all deliveries together: they go at the same time."""


class Held(NamedTuple):
    """The schema that a type's events are held to."""

    mode: str
    number: int
    text: str


def verify(incoming: Incoming) -> Step:
    """Check size, media type and signature, in a gateway's order, and read off the type."""
    source, request = incoming.source, incoming.request
    unwanted = _unwanted(incoming)
    if unwanted is not None:
        return _verified("failed", unwanted)
    if source.scheme == rules.OWN:
        detail = "The tenant published it itself: nothing of it is signed."
        return _verified("skipped", detail, incoming.published_as)
    recipe = rules.complete_recipe(source.scheme, source.recipe, incoming.secrets)
    try:
        handle = native.Source(recipe)
    except native.RecipeError as error:
        return _verified("failed", f"This source can verify nothing: {error}.")
    verdict = handle.verify(
        request.method, request.url, request.headers, request.body, incoming.now
    )
    if verdict.refusal is not None:
        return _verified("failed", f"{verdict.refusal}: {verdict.detail}.")
    if verdict.handshake is not None:
        return _verified("passed", "It is the provider's question: answered, and never stored.")
    return _verified(
        "passed",
        incoming.note or "The signature is right.",
        verdict.event_type,
        verdict.provider_id,
    )


def _unwanted(incoming: Incoming) -> str | None:
    """Return why a source does not even look at it."""
    source = incoming.source
    if len(incoming.request.body) > source.max_body_bytes:
        return f"The body is over the limit of {source.max_body_bytes} bytes."
    media = incoming.content_type.partition(";")[0].strip().lower()
    if source.content_types and media not in source.content_types:
        return f"This source takes {', '.join(source.content_types)}, and nothing else."
    return None


def _verified(
    outcome: Outcome, detail: str, event_type: str | None = None, provider_id: str | None = None
) -> Step:
    return Step(
        name="verify",
        outcome=outcome,
        detail=detail,
        event_type=event_type,
        provider_id=provider_id,
    )


_BROKEN: Final = {
    "warn": "It breaks the schema; it would be taken, and delivered with a warning.",
    "quarantine": "It breaks the schema; it would be taken into quarantine, and not delivered.",
    "reject": "It breaks the schema; it would be refused.",
}


def validate(body: bytes, held: Held | None) -> Step:
    """Hold a payload to the schema of its type."""
    if held is None:
        return Step(name="validate", outcome="skipped", detail="Its type has no schema to keep.")
    try:
        found = native.Schema(held.text.encode()).validate(body)
    except native.SchemaError:
        detail = "Its type's schema can't be used any more, so it is held to nothing."
        return Step(name="validate", outcome="skipped", detail=detail)
    if not found:
        detail = f"It keeps version {held.number} of its type's schema."
        return Step(name="validate", outcome="passed", detail=detail)
    return Step(
        name="validate",
        outcome="failed",
        detail=_BROKEN.get(held.mode, "It breaks the schema."),
        violations=tuple(Violated(pointer, detail) for pointer, detail in found),
    )


async def deliver(
    destinations: Sequence[Destination],
    made: Mapping[UUID, Load],
    client: Client,
    sealer: Sealer,
    timeout_s: float,
) -> Step:
    """Call them, once each, as a dispatcher would; nothing of it is recorded.

    Args:
        destinations: Those that want it; of the first few those that are called by HTTP are called.
        made: What is sent to each, by its id; to some of them nothing.
        client: Calls; it knows which addresses may be called.
        sealer: Opens destinations' secrets.
        timeout_s: The installation's own limit of one call.
    """
    if not destinations:
        return Step(name="deliver", outcome="skipped", detail="No destination wants it.")
    called = destinations[:MOST_DESTINATIONS]
    sent = [
        (one, load)
        for one in called
        if one.kind == "http" and isinstance(load := made[one.id], Sent)
    ]
    if not sent:
        detail = f"There is nothing to call. Not called: {len(destinations)}."
        return Step(name="deliver", outcome="skipped", detail=detail)
    done = await asyncio.gather(
        *(_call(one, load, client, sealer, min(timeout_s, LONGEST_S)) for one, load in sent)
    )
    arrived = sum(one.status is not None and 200 <= one.status < 300 for one in done)  # noqa: PLR2004
    left = len(destinations) - len(sent)
    detail = f"Arrived: {arrived} of {len(done)}." + (f" Not called: {left}." if left else "")
    return Step(
        name="deliver",
        outcome="passed" if arrived == len(done) else "failed",
        detail=detail,
        destinations=tuple(done),
    )


async def _call(
    destination: Destination, load: Sent, client: Client, sealer: Sealer, timeout_s: float
) -> Delivered:
    ready = Ready(target(destination), sealer, 0.0)
    cargo = load.cargo
    started = time.perf_counter()
    status, error = None, None
    try:
        headers = ready.headers(cargo, time.time(), load.headers)
        limit = min(destination.timeout_s, timeout_s)
        answer = await HttpCarrier(client).send(headers, cargo.body, ready, limit)
        status, error = answer.status, answer.note
    except CallFailed as failure:
        error = str(failure)
    except SealBroken:
        error = "internal: its secret does not open"
    return Delivered(
        destination_id=destination.id,
        name=destination.name,
        status=status,
        duration_ms=round((time.perf_counter() - started) * 1000),
        error=error,
    )


def skipped(name: StepName, reason: str) -> Step:
    """Return a step that was not reached."""
    return Step(name=name, outcome="skipped", detail=reason)
