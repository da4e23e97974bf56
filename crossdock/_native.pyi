# A compiled module has no docstrings of its own: the stub is where they are read.
# ruff: noqa: PYI021
"""The compiled hot path: webhook signatures, dedupe hashes, schemas, ids and rate limits.

Only `crossdock.native` imports this module. Nothing here keeps a secret where Python can see it,
and nothing but `LimitTable` reads a clock or a file.
"""

from collections.abc import Sequence
from typing import Final, final

__all__ = [
    "SCHEMES",
    "Fields",
    "Limit",
    "LimitTable",
    "Matcher",
    "Message",
    "RecipeError",
    "Rejected",
    "Replies",
    "Schema",
    "SchemaError",
    "Schemas",
    "Signer",
    "Source",
    "Taken",
    "Verdict",
    "batch_frames",
    "check_filter",
    "check_script",
    "confine_process",
    "content_length",
    "field_key",
    "generate_key_pair",
    "generate_secret",
    "plain_frames",
    "serve_scripts",
    "sha256",
    "take_webhook",
    "typeid",
    "typeid_parse",
    "uuid7",
]

SCHEMES: Final[tuple[str, ...]]
"""The names that a recipe's `scheme` may have; `none` must be chosen by name."""

class RecipeError(ValueError):
    """A recipe that cannot be prepared.

    The message says what to mend and never quotes a secret, so it can be shown to whoever wrote
    the recipe.
    """

@final
class Source:
    """A source's settings, prepared once for each version of them; immutable and shared freely.

    A recipe is a JSON object. Unknown fields are refused, and null stands for absent:

    - `scheme`: one of `SCHEMES`.
    - `secrets`: 1 to 10 live ones, each tried; none for the scheme `none`. `standard` takes
      `whsec_` (v1), `whpk_` or `whsk_` (v1a) and base64; `basic` takes `user:password`.
    - `tolerance`: seconds either way, 1 to 604800; null for the scheme's own. Must be null where
      the scheme signs no timestamp.
    - `public_url`: what Twilio, Square and `{url}` sign. Only the query is taken from the request,
      and not even that if `public_url` has one. When null, `verify`'s `url` is signed as given:
      build it from configuration or trusted proxy headers, never from a raw `Host`.
    - `dedupe`: `"auto"`, `"none"`, or 1 to 8 JSON pointers (RFC 6901) into the body.
    - `event_type`: null for the provider's own, or `{"header": name}`, `{"pointer": pointer}` or
      `{"fixed": name}`.
    - `verify_token`: what Meta must show in its handshake.
    - `hmac`, for the scheme of that name alone: `signature_header`, `algorithm` (`sha1`, `sha256`,
      `sha384`, `sha512`), `encoding` (`hex`, `base64`), `key_encoding` (`raw`, `hex`, `base64`),
      `prefix`, `timestamp_header`, `id_header`, `template` over `{timestamp}`, `{id}`, `{url}` and
      `{body}`. The defaults are sha256, hex, raw, no prefix, no headers and `{body}`.

    Raises:
        RecipeError: the recipe is malformed, or a secret in it would verify nothing.
    """

    def __new__(cls, recipe: bytes) -> Source: ...
    @property
    def scheme(self) -> str:
        """The scheme's name."""

    def verify(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        now: float,
    ) -> Verdict:
        """Check a request and read off what the gateway needs of it, in one call.

        The order is signature, timestamp, body: nothing is read of a body that nobody signed. A
        header that takes part in the check and is there twice is refused.

        Args:
            method: not signed by any scheme; taken so that a call names the whole request.
            url: the request target as received, or a whole URL; see `public_url`.
            headers: as ASGI gives them. Case does not matter.
            body: the bytes as received, never re-serialised. The GIL is released above 16 KiB.
            now: the receiver's clock, in seconds since 1970.
        """

    def handshake(
        self,
        method: str,
        query: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        now: float,
    ) -> tuple[str, bytes] | None:
        """Answer a provider's unsigned question: content type and text, or None if it is none.

        - Meta (GET): `hub.challenge`, if `hub.verify_token` is the recipe's `verify_token`.
        - Dropbox (GET): `challenge`. Microsoft (GET, or POST without body): `validationToken`.
          These two only under `hmac`, `basic`, `bearer` and `none`: the other schemes' providers
          never ask so.

        The text comes from whoever asks. It is 1 to 1024 printable ASCII characters and always
        `text/plain`; send it with `X-Content-Type-Options: nosniff`.
        """

@final
class Verdict:
    """What became of a request; frozen."""

    @property
    def refusal(self) -> str | None:
        """Why it was refused, or None if it was accepted.

        One of `signature-missing`, `signature-invalid`, `timestamp-outside-tolerance` and
        `body-malformed`. The last is decided after the signature matched: the content type, or the
        source's own rule, needs JSON, and the body is not UTF-8, not JSON, or nested deeper than
        128 levels.
        """

    @property
    def detail(self) -> str | None:
        """Which check failed, in words that never say what was expected; None if accepted."""

    @property
    def dedupe(self) -> bytes | None:
        """16 bytes that copies of one event share within a source; None if it wants no dedupe.

        SHA-256, cut to 128 bits, over what is signed and nothing else: the provider's own event id
        where it is signed, otherwise everything signed but the timestamp, or the body where nothing
        is. An id in an unsigned header could be changed to replay an event. Where none of a
        source's own pointers leads to a value, what is signed is hashed too, lest all such events
        be one.
        """

    @property
    def event_type(self) -> str:
        """The event's type, at most 128 visible ASCII characters, others percent-encoded.

        Empty when the provider names none. A label: some providers send it unsigned.
        """

    @property
    def provider_id(self) -> str | None:
        """The provider's own id, at most 255 such characters, signed or not: a label."""

    @property
    def handshake(self) -> tuple[str, bytes] | None:
        """Content type and answer, if this is Slack's or Zoom's handshake and not an event."""

@final
class Signer:
    """Signs as the provider of a scheme would, for `crossdock send`, tests and deliveries.

    Takes the recipe of a `Source`. With several secrets `standard`, `stripe` and `paddle` list a
    signature for each; the other schemes have room for one, by the first. `standard` signs v1 with
    `whsec_` and v1a with `whsk_` secrets.

    Raises:
        RecipeError: as for `Source`, or a secret is only a public key.
    """

    def __new__(cls, recipe: bytes) -> Signer: ...
    def sign(
        self,
        method: str,
        url: str,
        body: bytes,
        now: float,
        message_id: str | None = None,
    ) -> list[tuple[str, str]]:
        """All the headers that say who sent this: id, timestamp and signature, in lower case.

        Linear's timestamp stands in the body, which is the caller's. For Twilio a body is a form,
        unless the URL's query names its hash as `bodySHA256`.

        Args:
            method: not signed by any scheme.
            url: what `Source.verify` will be given.
            body: the bytes to send.
            now: the sender's clock, in seconds since 1970, cut to whole seconds.
            message_id: 1 to 255 visible ASCII characters; by default a fresh `msg_` TypeID, where
                the scheme sends an id.

        Raises:
            ValueError: `now` or `message_id` is out of range, or the request cannot be signed.
        """

@final
class Message:
    """A message ready to publish but for the reply subject it will be published with; immutable.

    Raises:
        ValueError: the subject has spaces, controls or wildcards, or a header would break its line.
    """

    def __new__(
        cls, subject: str, payload: bytes, headers: Sequence[tuple[str, str]] = ...
    ) -> Message: ...
    @property
    def size(self) -> int:
        """Bytes on the wire, at most.

        Raises:
            ValueError: it was taken apart, and has no body yet.
        """

    @property
    def event_id(self) -> bytes:
        """The event's UUIDv7, 16 bytes; zeros in a message that `take_webhook` did not make."""

    @property
    def status(self) -> str:
        """What becomes of the event: empty, `warned`, `held` or `quarantined`."""

    def attach(self, body: bytes, *, claim: str = "", data_key: bytes = b"") -> None:
        """Give a message that was taken `apart` its body; once.

        With a key, what a schema said of the body quotes nothing of it any more, as
        `Schema.validate` does without `quotes`: it is stored beside what is sealed.

        Args:
            body: what is stored: the bytes as received, or sealed; empty where there is a claim.
            claim: the object of the bucket `BODIES` that holds them.
            data_key: the id of the key that sealed them, 16 bytes.

        Raises:
            ValueError: it has its body, was not taken apart, has both a body and a claim, or the
                key's id is not 16 bytes.
        """

    @property
    def answer(self) -> bytes:
        """`{"id":"evt_…"}`, what is answered once one of `take_webhook` is stored."""

def take_webhook(
    source: Source,
    subject: str,
    ids: tuple[bytes, bytes],
    url: str,
    headers: list[tuple[bytes, bytes]],
    body: bytes,
    now: float,
    schemas: Schemas | None = None,
    *,
    holds: bool = False,
    apart: bool = False,
    fields: Fields | None = None,
) -> Message | Verdict | Rejected:
    """Verify a webhook and wrap it for the stream INGEST: all a gateway does to it, in one call.

    The message is a `proto.ingest.IngestedV1` under a fresh event id, which is its `Nats-Msg-Id`
    too. Kept of the headers are at most 32 with 4 KiB together: none that names a credential, a
    signature or the connection. A valid `traceparent` is continued, else a trace is begun whose id
    is the event's.

    Args:
        source: verifies, as by `Source.verify`.
        subject: where to publish.
        ids: of tenant and source, 16 bytes each.
        url: what some schemes sign; see `Source`.
        headers: as ASGI gives them, names in lower case.
        body: the bytes as received. The GIL is released above 16 KiB.
        now: the receiver's clock, in seconds since 1970; also the time in the id.
        schemas: the tenant's, by event type. A type that has none is not looked at.
        holds: the source is paused and keeps what it gets: the status is `held`, unless the event
            is quarantined.
        apart: leave the body out, for `Message.attach`.
        fields: the values that the source has indexed.

    Returns:
        The message; or the verdict, if it is a refusal or a handshake; or what the schema said, if
        its mode is `reject`.

    Raises:
        ValueError: an id is not 16 bytes, or `now` is no time that an id can have.
    """

@final
class SchemaError(ValueError):
    """A schema that is not taken; `args` are a JSON pointer into it and the reason."""

@final
class Schema:
    """A JSON Schema, draft 2020-12, compiled once; immutable and shared freely.

    `format`, `contentEncoding` and `contentMediaType` are notes: nothing is held to them, as is the
    dialect's default. A schema is UTF-8 and has at most:

    - 64 KiB, 64 levels, 5,000 subschemas, and 2,000 values in an `enum`;
    - 10,000 subschemas that one value is held to, through `$ref`, `$dynamicRef` and combinations,
      at most 64 of them in a row. Those with `unevaluatedProperties` or `unevaluatedItems` have
      10,000 together. None may lead back to itself without going into the value; trees may.
    - 200 different patterns of 1,000 bytes, each matched in time linear in the text: no lookaround,
      no back-references, and what an automaton of 1 MiB can't match has few places. They are
      compiled to 512 KiB together; a pattern of one class with one count takes none of these.

    References lead to places of the schema or to the dialect's own schema; nothing is ever fetched.
    Only the whole schema may have an `$id`, no `$schema` may name another dialect, and no anchor
    may be there twice.

    Args:
        text: the schema, as JSON. A name that repeats counts as it stands last.

    Raises:
        SchemaError: it is not taken.
    """

    def __new__(cls, text: bytes) -> Schema: ...
    @property
    def size(self) -> int:
        """About the bytes that it takes, compiled."""

    def validate(self, body: bytes, *, quotes: bool = True) -> list[tuple[str, str]]:
        """Hold a body to the schema; the GIL is released above 16 KiB.

        The body is read once. A name that repeats counts as it stands last; a number beyond 64 bits
        counts as the nearest double, beyond a double's range as the largest. What is not JSON, not
        UTF-8, starts with a byte order mark, nests more than 128 levels, has more than a million
        values or half of a surrogate pair breaks any schema.

        The work is counted: 100,000 steps and 20 for each byte of the body, where a step is a look
        at a value, a member or some bytes of a string, dearer with what the schema asks of it. That
        is well under a second for 512 KiB; a body that would take more breaks its schema.

        Args:
            body: the bytes, whatever they are.
            quotes: whether details may quote the body. Without, they say what the schema asks, and
                neither a value nor a member's name of the body; pointers stay.

        Returns:
            At most five violations: a JSON pointer into the body, empty for all of it, and what is
            wrong there, in at most 200 characters of which at most 64 are the payload's. A pointer
            that would be longer than 512 bytes, or name a member of more than 64 characters, leads
            to what that is in. Empty for a valid body.
        """

@final
class Schemas:
    """A tenant's schemas by event type; immutable.

    Args:
        items: an event type, its mode (`off`, `warn`, `quarantine` or `reject`), the version of
            its schema (1 to 2**32 - 1), and the schema.

    Raises:
        ValueError: an unknown mode, or a type that is there twice.
    """

    def __new__(cls, items: list[tuple[str, str, int, Schema]]) -> Schemas: ...
    def __len__(self) -> int: ...
    def get(self, event_type: str) -> tuple[str, int, Schema] | None:
        """The mode, version and schema of a type."""

@final
class Rejected:
    """A genuine webhook that its event type's schema refuses; frozen."""

    @property
    def event_type(self) -> str:
        """The event's type."""

    @property
    def schema_version(self) -> int:
        """The version of the schema."""

    @property
    def violations(self) -> list[tuple[str, str]]:
        """What is wrong, as `Schema.validate` says it."""

def check_script(source: str) -> tuple[str, int, int] | None:
    """Say what is wrong with a script, or None: the message, the line and the column, from 1.

    It must be JavaScript that declares a plain `function transform(event)`. None of it is run: it
    is parsed in an engine of its own, in at most a second and 32 MiB, without the GIL. Line and
    column are 0 where the fault has no place.
    """

def confine_process() -> str | None:
    """Give up, for good, all but memory, the clock, reading descriptor 0 and writing descriptor 1.

    A filter of the kernel's (seccomp(2)) for all threads of this process: whatever else is asked
    for ends it with SIGSYS. Needs no rights.

    Returns:
        Why that can't be had, and then nothing was given up; None where it was.
    """

def serve_scripts(hello: str, *, cpu_ms: int, memory: int, output: int, longest: int) -> None:
    """Run scripts until standard input ends; for a process that does nothing else.

    Frames are a length of four bytes, big-endian, and the content; see `native/src/scripts`. Each
    run has an engine of its own, of which nothing is left after it.

    Args:
        hello: the first frame that is written.
        cpu_ms: of the processor, for one run; what runs on in a native function of the engine is
            not ended by it.
        memory: bytes of a script's heap.
        output: bytes of the body that a script returns.
        longest: bytes of a request.

    Raises:
        OSError: a request is too long or none, or the other side is gone.
    """

def check_filter(text: str) -> tuple[int, int, str] | None:
    """Return what is wrong with a filter in CEL: line and column, from 1, and the reason.

    Both are 0 where it is about the whole. A filter has at most 4 KiB, 2,000 parts with its macros
    expanded and 80 within each other; its patterns are those of RE2, of at most 1,000 bytes, and
    are compiled to 512 KiB together. See `docs/routing.md` for the language.
    """

@final
class Matcher:
    """A tenant's subscriptions, indexed by source and type; immutable and shared freely.

    Args:
        subscriptions: of each the id, the sources it listens to (16 bytes each; none means all),
            the patterns of types it wants (none means all), its filter, and what orders its
            deliveries: `source`, or a JSON pointer. A filter that is not taken any more is an error
            for every event.
    """

    def __new__(
        cls, subscriptions: list[tuple[bytes, list[bytes], list[str], str | None, str | None]]
    ) -> Matcher: ...
    @property
    def looks_into_bodies(self) -> bool:
        """Whether any filter looks at the payload, or any order points into it."""

    @property
    def judges(self) -> bool:
        """Whether there are filters or orders."""

    @property
    def size(self) -> int:
        """About the bytes that it takes."""

    def match(
        self,
        event_id: bytes,
        source_id: bytes,
        event_type: str,
        content_type: str,
        provider_id: str | None,
        headers: list[tuple[str, str]],
        body: bytes | None,
    ) -> tuple[list[tuple[int, int | None]], list[tuple[int, str]]]:
        """Return which subscriptions want an event; the GIL is released where there are filters.

        The body is read once, and each different filter judged once. Work is counted: 100,000 steps
        a filter and 1,000,000 for all of them, and each of the two a step more for four bytes of
        the body. A step is a look at a value, or at 16 bytes of text.

        Args:
            event_id: a UUIDv7, 16 bytes; it tells when the event was received.
            source_id: 16 bytes.
            event_type: held to patterns; one that begins with `crossdock.` is for patterns that do,
                too, and never for the destination that its header `crossdock-about` names.
            content_type: as it arrived.
            provider_id: the provider's own id.
            headers: names and values; of a name that repeats the first counts.
            body: plain; what is no JSON is null. `None` where it can't be opened any more: to look
                at it is then an error.

        Returns:
            Places of subscriptions that want the event, ascending, each with its line, 63 bits,
            where it is ordered and has a key; and places of those whose filters could not be
            judged, with the reason.
        """

@final
class Fields:
    """The values of a body that a source has indexed; immutable.

    Args:
        pointers: at most 8 JSON pointers (RFC 6901), none of them empty.

    Raises:
        ValueError: something else.
    """

    def __new__(cls, pointers: list[str]) -> Fields: ...
    def keys(self, body: bytes) -> list[bytes]:
        """The `field_key` of each value that is there, without repeats; none if it is not JSON.

        Strings, numbers and truth values of at most 256 bytes have one; null, arrays and objects
        have none.
        """

def field_key(pointer: str, value: str) -> bytes:
    """What an indexed value is found by: 16 bytes of SHA-256 over pointer and value.

    Args:
        pointer: as in `Fields`.
        value: a string's characters, unescaped; a number as it was written; `true` or `false`.
    """

def content_length(headers: list[tuple[bytes, bytes]]) -> int:
    """What a request says its body's length is; -1 where it says nothing that can be believed.

    Args:
        headers: as ASGI gives them, names in lower case.
    """

def plain_frames(messages: list[Message], inbox: bytes, first: int) -> bytes:
    """Frames that publish each message; replies come to `inbox` + `first`, `first` + 1, …."""

def batch_frames(messages: list[Message], inbox: bytes, token: int, batch_id: str) -> bytes:
    """Frames that publish an atomic batch, at most 1,000 messages: all are stored, or none is.

    The one reply comes to `inbox` + `token`.
    """

@final
class Replies:
    """Reads what the server says on a connection, chunk by chunk."""

    def __new__(cls) -> Replies: ...
    def feed(self, chunk: bytes) -> tuple[list[int], list[tuple[str, int, int, bytes]]]:
        """Read one chunk, cut anywhere.

        Returns:
            The tokens of messages that are stored; then all else that was said: a kind, a token, a
            status and bytes. `PING` and `PONG` have none of these, `INFO` and `-ERR` only bytes,
            `MSG` is any other reply to the inbox, and an empty kind is what NATS does not say.
        """

def generate_secret(scheme: str) -> str:
    """A fresh secret of 256 bits in the form the scheme uses.

    Raises:
        ValueError: the scheme is unknown, or `none`.
    """

def generate_key_pair() -> tuple[str, str]:
    """A fresh ed25519 key pair for `standard` v1a: the private `whsk_` and the public `whpk_`."""

def uuid7(unix_ms: int) -> bytes:
    """A new UUIDv7 (RFC 9562, section 5.7), 16 bytes, greater than all this process made before.

    Within a millisecond the 74 random bits count up by a random step of 1 to 2**32, so ids stay
    hard to guess and processes that share a millisecond do not collide. A `unix_ms` lower than the
    last one is answered with the last one: ids never go backwards, even if the clock does.

    Raises:
        ValueError: `unix_ms` needs more than 48 bits.
        OverflowError: `unix_ms` is negative or needs more than 64.
    """

def typeid(prefix: str, uuid: bytes) -> str:
    """A UUID as TypeID text (specification 0.3): `prefix_` and 26 characters of base32.

    Raises:
        ValueError: the prefix is not 0 to 63 of a-z and inner `_`, or the UUID not 16 bytes.
    """

def typeid_parse(prefix: str, text: str) -> bytes:
    """The 16 bytes of a TypeID with exactly this prefix; the strict inverse of `typeid`.

    Raises:
        ValueError: another prefix, another length, a capital, or a character outside the alphabet.
    """

def sha256(data: bytes) -> bytes:
    """SHA-256 (FIPS 180-4), some three times as fast as `hashlib` for short data."""

@final
class Limit:
    """One subject under one policy; immutable, made once and kept.

    The subject's units come back evenly, `quota` in `window_s`, up to `burst`. Policies that differ
    in anything, or subjects, are counted apart: whoever gets another quota starts afresh.

    Args:
        name: the policy's, for the headers: 1 to 32 of a-z, 0-9 and `-`.
        subject: whose it is, any bytes. Hashed with the policy to 56 bits. Where strangers choose
            the subject, put a secret in front that all nodes share: who knows the hash may look
            for a subject that shares a slot with another's.
        quota: 1 to 1,000,000 for each second of the window.
        window_s: seconds, 0.001 to 2,678,400 (31 days).
        burst: units that may be taken at once, 1 to 1,000,000,000; by default `quota`. A burst
            must come back within 366 days.
        shared_slot: count in one of a fixed number of slots, chosen by hash, that is never given
            to anybody else: for subjects without number, such as addresses. Those that meet in one
            share it.

    Raises:
        ValueError: an argument is out of range.
    """

    def __new__(
        cls,
        name: str,
        subject: bytes,
        quota: int,
        window_s: float,
        burst: int | None = None,
        *,
        shared_slot: bool = False,
    ) -> Limit: ...
    @property
    def name(self) -> str:
        """The policy's name."""

    @property
    def quota(self) -> int:
        """Units that come back in a window."""

    @property
    def window_s(self) -> float:
        """The window, in seconds."""

    @property
    def burst(self) -> int:
        """Units that may be taken at once."""

@final
class Taken:
    """What became of a request for units; frozen."""

    @property
    def admitted(self) -> bool:
        """Whether every limit had room."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What to tell the client, as ASGI takes it; a new list each time, empty without limits.

        `ratelimit-policy` names all policies, `ratelimit` the tightest, after the IETF draft
        ratelimit-headers; `retry-after` only if refused.
        """

    @property
    def retry_after_s(self) -> int:
        """Seconds until all limits have room, rounded up; 0 if admitted.

        Where the cost is more than a burst it never fits: seconds until that limit is full.
        """

    @property
    def refused(self) -> tuple[str, ...]:
        """Names of the policies that had no room."""

    @property
    def remaining(self) -> int:
        """Whole units that the tightest limit still has."""

    @property
    def reset_s(self) -> int:
        """Seconds until the tightest limit is full again; until its next unit if it has none.

        Rounded up. Where it has units, but fewer than were asked for: until those are there.
        """

@final
class LimitTable:
    """What was taken of limits (GCRA), in memory that the processes of a machine share.

    Times are of the clock that counts from the machine's start and goes on in its sleep. Nothing
    locks: processes may be stopped or killed at any point and the others go on.

    Args:
        path: a file, made with mode 0600 if it is not there; None for a table of this process's
            own. Another boot's, size's or version's file, and a damaged one, is replaced by an
            empty one; processes that have the old one open keep counting there. While the file is
            in use nobody may truncate it. Beside it a file `<path>.lock` guards the opening.
        boot: names the machine's start, up to 255 bytes; another name empties the table.
        slots: subjects that are counted at once, rounded up to a power of two; 64 to 16,777,216.

    Raises:
        OSError: the file cannot be made, is a symbolic link, is no plain file or is someone else's.
        ValueError: `slots` or `boot` is out of range.
    """

    def __new__(cls, path: str | None, boot: bytes, slots: int = 65536) -> LimitTable: ...
    def take(self, limits: tuple[Limit, ...], cost: int = 1, now_ns: int | None = None) -> Taken:
        """Take `cost` units of each limit, or none of any.

        Where a limit's subject finds no slot, because all within reach are in use, it is admitted
        and counted as `crowded` in `stats`.

        Args:
            limits: at most 8.
            cost: units, at least 1.
            now_ns: for tests: the clock, in nanoseconds.

        Raises:
            ValueError: an argument is out of range.
            OverflowError: `cost` or `now_ns` is negative or needs more than 64 bits.
        """

    def peek(self, limits: tuple[Limit, ...], now_ns: int | None = None) -> Taken:
        """Say what `take` would say to one unit of each, taking none; `remaining` is as it is.

        Raises:
            ValueError: an argument is out of range.
            OverflowError: as `take`.
        """

    def drain(self, now_ns: int | None = None) -> bytes:
        """What was taken through this table since the last drain, for other nodes' `apply`.

        One caller a table. Empty if there is nothing. At most 512 KiB; what does not fit comes
        next time.
        """

    def apply(self, usage: bytes, now_ns: int | None = None) -> None:
        """Count what another node's `drain` gave: it leaves less for takers here.

        Raises:
            ValueError: `usage` is no answer of `drain`; nothing of it was counted.
        """

    @property
    def share(self) -> int:
        """Among how many nodes each limit is divided, for all processes; 1 at first."""

    def set_share(self, nodes: int) -> None:
        """Give this node `1/nodes` of each limit, and of each burst, but one unit at least.

        Raises:
            ValueError: `nodes` is not 1 to 1,024.
        """

    def stats(self) -> dict[str, int]:
        """The table in numbers; all but the first two count from its making, all processes'.

        `slots`: subjects that have room at once. `used`: those that took lately and are not full
        again. `evicted`: slots that changed hands. `collisions`: subjects that found the first of
        their slots in use. `crowded`: takes that were admitted for want of a slot.
        """
