"""What is kept of a webhook that its source refused."""

import hashlib
import time
from typing import Final

import msgspec

from crossdock import ids, native
from crossdock.errors import Violation
from crossdock.inbound.refusals import Recorder, Refusal
from crossdock.inbound.refusals.rules import MAX_DETAIL, redacted
from gateway.asgi import Scope
from gateway.ingest.answers import Answered
from gateway.limits import BAD_REQUEST, SERVER_ERROR, Meter
from proto.settings import SourceSettings

_MAX_SIZE: Final = 2**31 - 1
"""What the column holds: a sender may announce anything."""
_MAX_ADDRESS: Final = 64


class _Told(msgspec.Struct):
    detail: str = ""
    errors: list[Violation] = []


class Refusing:
    """Notes refusals; most cost a count and no more."""

    def __init__(self, recorder: Recorder, meter: Meter) -> None:
        self._recorder = recorder
        self._meter = meter

    def note(
        self, settings: SourceSettings, early: Answered, scope: Scope, body: bytes | None
    ) -> None:
        """Note that a source's webhook was refused; its body is `None` if it was not read whole."""
        if not BAD_REQUEST <= early.answer.start["status"] < SERVER_ERROR:
            return
        key = settings.tenant_id, settings.source_id
        if not self._recorder.count(key, early.reason):
            return
        size = native.content_length(scope["headers"]) if body is None else len(body)
        self._recorder.keep(
            key,
            Refusal(
                id=ids.new(time.time()),
                reason=early.reason,
                detail=_detail(early, settings),
                method=scope["method"],
                address=self._meter.address(scope)[:_MAX_ADDRESS],
                headers=redacted(scope["headers"]),
                size=min(max(size, 0), _MAX_SIZE),
                body_sha256=None if body is None else hashlib.sha256(body).digest(),
            ),
        )


def _detail(early: Answered, settings: SourceSettings) -> str:
    """Return what the sender was told; nothing of a payload that is to be sealed."""
    told = msgspec.json.decode(early.answer.body["body"], type=_Told)
    found = [
        one.pointer if settings.data_key is not None else f"{one.pointer}: {one.detail}"
        for one in told.errors
    ]
    return " ".join([told.detail, "; ".join(found)]).strip()[:MAX_DETAIL]
