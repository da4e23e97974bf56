"""What is said to be accepted is accepted: by the engine that payloads are held to."""

import random
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings

from crossdock import native
from crossdock.event_types.compatibility import against, compare
from tests.unit.event_types import schemas

DOCUMENTS = 40


def compiled(schema: Any) -> native.Schema | None:
    try:
        return native.Schema(msgspec.json.encode(schema))
    except native.SchemaError:
        return None


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas.pairs)
def test_no_document_that_was_accepted_is_refused(
    pair: tuple[Any, Any, random.Random],
) -> None:
    before, after, rng = pair
    old, new = compiled(before), compiled(after)
    if old is None or new is None:
        return
    found = compare(*(msgspec.json.encode(one).decode() for one in (before, after)))
    is_backward, is_full = not against(found, "backward"), not against(found, "full")
    assert is_backward or not is_full
    for _ in range(DOCUMENTS if is_backward else 0):
        document = msgspec.json.encode(schemas.document(rng))
        was, now = not old.validate(document), not new.validate(document)
        assert now or not was, document
        assert was or not now or not is_full, document
