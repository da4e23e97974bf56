"""The registry of problem types: every name that may follow `/problems/`, and what it means.

A name is for ever: programs compare it. Nothing answers with a name that is not here, and the pages
of the types, served and in `docs/problems/`, are made of this (`gateway.problems.pages`).
"""

from typing import Final

import msgspec

IANA: Final = "https://iana.org/assignments/http-problem-types#"


class ProblemType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of problem. Its texts may set `code` in backticks, and have no other markup."""

    name: str
    status: int
    title: str
    """Short, and the same each time (RFC 9457, 3.1.3)."""
    meaning: str
    remedy: str
    """What whoever gets it should do."""
    registered: bool = False
    """Whether the type is one of IANA's, under the same name."""
    is_ingest_only: bool = False
    """Whether only senders of webhooks meet it."""

    @property
    def uri(self) -> str:
        """What a problem's `type` holds: a reference that leads to the page, or IANA's own."""
        return f"{IANA}{self.name}" if self.registered else f"/problems/{self.name}"


TYPES: Final = (
    ProblemType(
        name="malformed",
        status=400,
        title="The request could not be read",
        meaning=(
            "Some part of the request does not have the form that it must have: a body that is not"
            " JSON or not UTF-8, or a header that does not follow its syntax. Where the part has a"
            " name, `errors` gives it."
        ),
        remedy="Mend the request. The same one will be refused again.",
    ),
    ProblemType(
        name="idempotency-key-missing",
        status=400,
        title="An idempotency key is required",
        meaning=(
            "This operation starts something that must not start twice, so it is refused without"
            " an `Idempotency-Key`."
        ),
        remedy=(
            "Send a fresh `Idempotency-Key` with each new request, and the same one with each"
            " repetition of it."
        ),
    ),
    ProblemType(
        name="body-malformed",
        status=400,
        title="The webhook's body could not be read",
        meaning=(
            "The webhook is signed as it should be, but its content type says JSON and its body is"
            " not JSON, or is nested deeper than 128 levels."
        ),
        remedy="Have the sender send JSON, or name the content type that it does send.",
        is_ingest_only=True,
    ),
    ProblemType(
        name="unauthenticated",
        status=401,
        title="No valid credentials",
        meaning=(
            "The API key, the access token or the password is missing, unknown, expired or"
            " revoked. The answer is the same for all of them: it tells a stranger nothing."
        ),
        remedy=(
            "Send `Authorization: Bearer` with a key or token that is valid. With an expired"
            " access token, refresh the session or sign in again."
        ),
    ),
    ProblemType(
        name="second-factor-required",
        status=401,
        title="A code of the second factor is required",
        meaning="The password was right, and the account has a second factor.",
        remedy=(
            "Send the same request again with `code`: from the authenticator, or a recovery code."
        ),
    ),
    ProblemType(
        name="signature-missing",
        status=401,
        title="The webhook is not signed",
        meaning="A header that the source's scheme needs for its signature is not there.",
        remedy="Check that the sender signs, and that the source has the sender's scheme.",
        is_ingest_only=True,
    ),
    ProblemType(
        name="signature-invalid",
        status=401,
        title="The webhook's signature is wrong",
        meaning=(
            "The signature was not made from this body with one of the source's live secrets."
            " What was expected is never told."
        ),
        remedy=(
            "Check that the secret is the sender's current one, and that nothing in between changes"
            " the body. After a rotation, the old secret counts until its overlap ends."
        ),
        is_ingest_only=True,
    ),
    ProblemType(
        name="timestamp-outside-tolerance",
        status=401,
        title="The webhook's timestamp is too old or too new",
        meaning=(
            "The signed moment is further from now than the source's `tolerance` allows, so this"
            " may be an old webhook that somebody sends again."
        ),
        remedy="Check the sender's clock, or give the source a wider `tolerance`.",
        is_ingest_only=True,
    ),
    ProblemType(
        name="forbidden",
        status=403,
        title="Not permitted",
        meaning=(
            "The credentials are valid, but do not permit this. Nobody grants or changes what they"
            " do not hold themselves."
        ),
        remedy="Use credentials with the permission that the operation's description names.",
    ),
    ProblemType(
        name="quota-reached",
        status=403,
        title="The tenant has as many of these as it may",
        meaning="A limit of the tenant's plan on how many there may be has been reached.",
        remedy=(
            "Delete what is no longer needed, or ask whoever runs the installation for a larger"
            " plan. `GET /v1/tenant/usage` shows what is used of what."
        ),
    ),
    ProblemType(
        name="signup-closed",
        status=403,
        title="Signing up is closed",
        meaning="On this installation, tenants are made by its operators.",
        remedy="Ask whoever runs the installation for an account.",
    ),
    ProblemType(
        name="tenant-suspended",
        status=403,
        title="The tenant is not active",
        meaning=(
            "The tenant is suspended or coming to its end. It may still read, but nothing changes,"
            " and its webhooks are refused."
        ),
        remedy="Ask whoever runs the installation. Senders of webhooks should try again later.",
    ),
    ProblemType(
        name="source-paused",
        status=403,
        title="The source is paused",
        meaning="Somebody of the tenant paused this source, so its webhooks are refused.",
        remedy="Resume it with `POST /v1/sources/{id}/resume`, then have the sender send again.",
        is_ingest_only=True,
    ),
    ProblemType(
        name="source-disabled",
        status=403,
        title="The source is disabled",
        meaning="An operator of the installation disabled this source.",
        remedy="Ask whoever runs the installation.",
        is_ingest_only=True,
    ),
    ProblemType(
        name="not-found",
        status=404,
        title="There is no such thing here",
        meaning=(
            "Nothing has this path or id, or it belongs to another tenant: the answer does not tell"
            " which. Where a part of the path is no id of the right kind, `errors` names it."
        ),
        remedy="Check the path and the id, prefix included, and whose credentials you use.",
    ),
    ProblemType(
        name="unknown-source",
        status=404,
        title="No source has this address",
        meaning="No source has this ingest URL, or no longer. All such URLs are answered alike.",
        remedy="Copy the source's `ingest_url` anew from `GET /v1/sources/{id}`.",
        is_ingest_only=True,
    ),
    ProblemType(
        name="method-not-allowed",
        status=405,
        title="The method does not fit this path",
        meaning="There is something at this path, but it does not take this method.",
        remedy="Use one of the methods in the header `Allow`.",
    ),
    ProblemType(
        name="timed-out",
        status=408,
        title="The request took too long to arrive",
        meaning="The body did not arrive in time. Nothing was done.",
        remedy="Send it again, in one go.",
    ),
    ProblemType(
        name="conflict",
        status=409,
        title="It conflicts with what is there",
        meaning="A name is taken, or the state that something is in does not allow this.",
        remedy="Read it again, and decide anew. `detail` says what stands against it.",
    ),
    ProblemType(
        name="idempotency-in-progress",
        status=409,
        title="The same request is still running",
        meaning="A request with this `Idempotency-Key` has not been answered yet.",
        remedy="Send it again after `Retry-After`, with the same key, for the first one's answer.",
    ),
    ProblemType(
        name="outcome-unknown",
        status=409,
        title="Whether the request had its effect is unknown",
        meaning=(
            "A request with this `Idempotency-Key` was cut off between its effect and its answer,"
            " by a crash for example."
        ),
        remedy="Look whether the effect is there. If it is not, try again with a fresh key.",
    ),
    ProblemType(
        name="schema-incompatible",
        status=409,
        title="The new schema is not compatible with the one before it",
        meaning=(
            "The event type asks for schemas that go on accepting what the one before accepted (or"
            " allow nothing more, where it asks for `full`), and this one does not. `errors` names"
            " the places that differ."
        ),
        remedy=(
            "Mend the places, send `force` to take the schema all the same, or change the event"
            " type's `compatibility`. `POST /v1/event-types/{event_type_id}/check` tells before."
        ),
    ),
    ProblemType(
        name="precondition-failed",
        status=412,
        title="It has changed since it was read",
        meaning=(
            "The resource has another version than `If-Match` names: somebody else changed it in"
            " the meantime. Nothing was done."
        ),
        remedy="Read it again, apply your change to what is there now, and send its new `ETag`.",
    ),
    ProblemType(
        name="too-large",
        status=413,
        title="The request is too large",
        meaning="The body is larger than is taken here, or than the source allows.",
        remedy="Send less. A source's limit is its `max_body_bytes`.",
    ),
    ProblemType(
        name="unsupported-media-type",
        status=415,
        title="The media type is not understood here",
        meaning=(
            "Bodies are `application/json` in UTF-8, for PATCH also `application/merge-patch+json`."
        ),
        remedy="Send JSON, and say so in `Content-Type`.",
    ),
    ProblemType(
        name="invalid",
        status=422,
        title="The request breaks a rule",
        meaning=(
            "The request could be read, but something in it is not allowed: an unknown field or"
            " parameter, a wrong type, a value out of range. `errors` says what, and where."
        ),
        remedy="Mend what `errors` names. The same request will be refused again.",
    ),
    ProblemType(
        name="schema-violated",
        status=422,
        title="The payload breaks its event type's schema",
        meaning=(
            "The event type's mode is `reject`, and the payload is not what the schema asks for."
            " Nothing was stored. `errors` has the first of the places that are wrong."
        ),
        remedy=(
            "Mend the payload, or the schema. In the modes `warn` and `quarantine` such events are"
            " taken, and their breach is kept with them."
        ),
    ),
    ProblemType(
        name="recipe-mismatch",
        status=422,
        title="The example is not signed as the recipe says",
        meaning=(
            "Before a source is saved, its recipe is tried on the example: the signature that it"
            " gives is another one. `errors` says what was tried, and which other settings fit."
        ),
        remedy=(
            "Compare the recipe with the sender's documentation, and paste the example exactly as"
            " it was sent, its body byte by byte."
        ),
    ),
    ProblemType(
        name="idempotency-key-reused",
        status=422,
        title="The idempotency key belongs to another request",
        meaning=(
            "This `Idempotency-Key` came with another method, path, query or body within the last"
            " 24 hours."
        ),
        remedy="Use a fresh key for each new request; repeat a request without any change.",
    ),
    ProblemType(
        name="quota-exceeded",
        status=429,
        title="Too many requests",
        meaning=(
            "More was asked for than a limit allows. `RateLimit-Policy` and `RateLimit` tell the"
            " limits and what is left of them; `violated-policies` names those that refused."
        ),
        remedy="Wait for as many seconds as `Retry-After` says, then try again.",
        registered=True,
    ),
    ProblemType(
        name="internal",
        status=500,
        title="Something went wrong here",
        meaning=(
            "A fault of this installation. `instance` is the id under which its log has all about"
            " it; the answer tells no more."
        ),
        remedy="Tell whoever runs the installation the `instance`.",
    ),
    ProblemType(
        name="unavailable",
        status=503,
        title="A part is away for the moment",
        meaning="The database, the message broker or another part does not answer.",
        remedy=(
            "Try again after `Retry-After`. A webhook that got this was not accepted: its sender"
            " sends it again. A change may have happened all the same: repeat it with the same"
            " `Idempotency-Key`."
        ),
    ),
    ProblemType(
        name="busy",
        status=503,
        title="Too much of this at once",
        meaning="Work of this sort is queued as far as it may be, for example passwords to check.",
        remedy="Try again after `Retry-After`.",
    ),
)

BY_NAME: Final = {kind.name: kind for kind in TYPES}
