"""What schemathesis is told about us: whom to leave alone, and rules that no schema can tell.

Every check of its own is on. `positive_data_acceptance` lets 400, 412 and 422 pass, and
`refusals_have_reasons` here takes them up instead: it knows the reasons one by one.
"""

import os
import re
from typing import Any, Final, NamedTuple

import msgspec
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response

SPARED: Final = frozenset(os.environ.get("CROSSDOCK_TEST_SPARED", "").split(","))
"""Ids of what the callers themselves depend on: whoever would change it meets nothing instead."""
IS_ANONYMOUS: Final = "CROSSDOCK_TEST_ANONYMOUS" in os.environ
REFUSALS: Final = (400, 412, 422)
USED: Final = frozenset(
    {"allow", "etag", "idempotency-replayed", "location", "retry-after", "www-authenticate"}
)
"""Headers of answers that programs use."""


AnyCase = Case[Any]


class Reason(NamedTuple):
    """A rule that is no schema's business."""

    operation: str
    """Of which operations; a regular expression."""
    pointer: str
    """About what in a request; a regular expression."""
    why: str


TYPES: Final = {
    "/problems/precondition-failed": "a tag that somebody makes up is not the current one",
    "/problems/idempotency-key-reused": "the same key was made up for another request before",
    "/problems/recipe-mismatch": "an example that somebody makes up is not signed",
}
REASONS: Final = (
    Reason(".*", r"\?cursor", "a cursor is signed"),
    Reason(".*", "/email", "an address follows rules of its own, RFC 5321 and more"),
    Reason(".*", "/(name|tenant_name|reason)", "text for people is printable"),
    Reason(".*", "/(new_)?password", "a password is long, and none that leaked"),
    Reason(".*", r"/permissions(/\d+)?", "nobody grants what is for operators"),
    Reason(".* /v1/sources.*", "/max_body_bytes", "the installation has a limit of its own"),
    Reason("GET /v1/events", r"\?payload", "a source of the tenant's indexes that pointer"),
    Reason("POST /v1/events", "/(payload|payload_base64|content_type)", "one of two, base64"),
    Reason("POST /v1/events", "/event_type", "what begins with crossdock. is our own"),
    Reason("PATCH /v1/alerts/settings", r"/emails/\d+", "an address follows rules of its own"),
    Reason("POST /v1/events", "/source_id", "the tenant's own source is but one"),
    Reason("POST /v1/replays", "/created_before", "it is after the beginning"),
    Reason("POST /v1/replays", "/(delivery|event)_ids", "deliveries are named, or events"),
    Reason("POST /v1/replays", "/(destination_id|created_after)", "who missed what, since when"),
    Reason("POST /v1/replays", "/(reason|last_status)", "events have none"),
    Reason("POST /v1/auth/refresh", "/refresh_token", "left out where a cookie has it"),
    Reason(".*", "/slug", "some words are reserved"),
    Reason(".*", "/token", "a token was sent by mail, once"),
    Reason("POST /v1/api-keys", "/expires_at", "the end of a key is still to come"),
    Reason(".* /v1/destinations.*", "/url", "the guard takes no address that is not public"),
    Reason(".* /v1/destinations.*", "/(timeout_s|concurrency)", "the installation's own limit"),
    Reason(".* /v1/destinations.*", "/settings.*", "what fits depends on the kind"),
    Reason(".* /v1/destinations.*", "/headers.*", "a header is one, and not ours to set"),
    Reason(".* /v1/destinations.*", "/auth.*", "what fits depends on the kind; PEM is parsed"),
    Reason(".* /v1/destinations.*", "/order/by", "`source`, or a JSON pointer"),
    Reason(".* /v1/destinations.*", "/(filter|transform)", "a language has a grammar"),
    Reason(".* /v1/destinations.*", "/(rate|order).*", "a patch of nothing is incomplete"),
    Reason("POST /v1/destinations/.*/rotate-secret", "/overlap_s", "another scheme begins at once"),
    Reason(".* /v1/destinations.*", "/retry.*", "parts of a schedule fit together"),
    Reason(".* /v1/destinations.*", r"/source_ids/\d+", "a source is one that there is"),
    Reason(".* /v1/sources.*", "/(recipe|secrets?).*", "what fits depends on the scheme"),
    Reason("POST /v1/sources(/check)?", "/(scheme|preset)", "one is named, and they fit together"),
    Reason(".* /v1/sources.*", "/indexed_fields.*", "a pointer is one, and ends before a `=`"),
    Reason(".* /v1/(sources|simulations).*", "/(example|request).*", "a request is one of HTTP's"),
    Reason("POST /v1/sources/.*/test", "/(sample|event_type)", "a sample is one of the preset's"),
    Reason("POST /v1/simulations", "/?(source_id|event_id|sample)?", "one thing is simulated"),
    Reason("POST /v1/routing/dry-run", "", "one of three names the events"),
    Reason("POST /v1/routing/dry-run", "/(filter|transform)", "a language has a grammar"),
    Reason("POST /v1/routing/dry-run", "/sample/payload", "a text has no halves"),
    Reason(".*", r"/(inherits|roles)/\d+", "a role is one that there is"),
    Reason(".* /v1/event-types.*", "/schema.*", "a schema is one that is taken, and no bomb"),
    Reason(".* /v1/event-types.*", "/mode", "without a schema there is nothing to check"),
    Reason("POST /v1/event-types/.*/validate", "/version", "there is a schema of that number"),
)


@schemathesis.hook
def before_call(_context: HookContext, case: AnyCase, _kwargs: dict[str, Any]) -> None:
    """Leave alone what the callers depend on: without it, all that follows would be 401."""
    if case.method.upper() == "GET":
        return
    for name, value in (case.path_parameters or {}).items():
        if value in SPARED:
            case.path_parameters[name] = f"{value[:4]}{'0' * 26}"


@schemathesis.check
def refusals_have_reasons(_ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """What fits the schema is refused only for a rule that no schema can tell."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return None
    if response.status_code not in REFUSALS or not _fits(case):
        return None
    problem: Any = msgspec.json.decode(response.content)
    if problem["type"] in TYPES:
        return None
    label = case.operation.label
    unexplained = [
        error["pointer"]
        for error in problem.get("errors", ())
        if not any(
            re.fullmatch(reason.operation, label) and re.fullmatch(reason.pointer, error["pointer"])
            for reason in REASONS
        )
    ]
    if unexplained or not problem.get("errors"):
        raise AssertionError(f"{label} fits the schema and is refused: {problem}")
    return None


@schemathesis.check
def strangers_get_nothing(_ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """Without a credential, only what is public succeeds."""
    is_public = case.operation.definition.raw.get("security") == []
    if IS_ANONYMOUS and not is_public and response.status_code < 400:
        raise AssertionError(f"{case.operation.label} answers {response.status_code} to a stranger")
    return None


@schemathesis.check
def what_is_answered_is_told(_ctx: CheckContext, response: Response, case: AnyCase) -> bool | None:
    """Headers that programs use are in the document for that answer."""
    told = case.operation.responses.find_by_status_code(response.status_code)
    if told is None or case.method.lower() != case.operation.method.lower():
        return None
    known = {name.lower() for name, _ in told.headers.items()}
    untold = (USED & {name.lower() for name in response.headers}) - known
    if untold:
        raise AssertionError(f"{case.operation.label} {response.status_code}: {sorted(untold)}")
    return None


def _fits(case: AnyCase) -> bool:
    """Tell whether the headers fit: schemathesis makes some entity tags of its own that don't."""
    for parameter in case.operation.headers:
        value = (case.headers or {}).get(parameter.name)
        pattern = parameter.definition.get("schema", {}).get("pattern")
        if value is not None and pattern and not re.fullmatch(pattern, str(value)):
            return False
    return True
