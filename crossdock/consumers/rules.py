"""What an internal consumer may do, and the server's configuration that holds it to that.

Each user has an account of its own. Within the account that Crossdock itself uses, no permission
would do: a request's reply, and where a push consumer delivers, are subjects that the server does
not check against anybody's rights. Whoever may ask for an event could have it answered on
`ingest.0`, and so write webhooks for any tenant. In an account of its own a reply leads nowhere
else, nobody hears another's inbox, and nobody creates a consumer: Crossdock does so beforehand.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from crossdock import ids
from crossdock.consumers.model import ConsumerUser
from crossdock.errors import Invalid, NotAnId, Violation
from proto import subjects

API: Final = "CROSSDOCK.API"
"""What a consumer's client uses in place of `$JS.API`, which each account keeps for itself."""

OURS: Final = "CROSSDOCK"
"""The account that Crossdock itself uses, where its servers are embedded."""

RESERVED: Final = frozenset({"crossdock", "system"})
"""Users that an embedded server has already; a name is one account's alone."""

_NAME: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?")
_TAKEN: Final = subjects.oldest_of("")
_LITERAL: Final = re.compile(r"[\x21-\x7e]{1,128}")
_NKEY_BYTES: Final = 35
_USER_PREFIX: Final = 20 << 3
"""How a user's public key begins, which makes it a `U` in base32."""


def check_name(name: str) -> None:
    """Refuse a name that could not be a consumer's, an account's and a subject's token.

    Raises:
        Invalid: says what it may be.
    """
    if name in RESERVED:
        raise _invalid("/name", f"{name} is a user of Crossdock's own.")
    if not _NAME.fullmatch(name) or name.endswith(_TAKEN):
        raise _invalid(
            "/name",
            "A name has 1 to 32 of a-z, 0-9 and -, begins with a letter and ends with no hyphen,"
            " nor with -oldest.",
        )


def check_nkey(key: str) -> None:
    """Refuse what is not the public nkey of a user.

    Raises:
        Invalid: it is none, or was mistyped.
    """
    try:
        raw = base64.b32decode(key + "=" * (-len(key) % 8))
    except (binascii.Error, ValueError):
        raw = b""
    if (
        len(raw) != _NKEY_BYTES
        or raw[0] != _USER_PREFIX
        or _crc16(raw[:-2]) != int.from_bytes(raw[-2:], "little")
    ):
        raise _invalid("/nkey", "This is not the public nkey of a user, which begins with U.")


def readable(tenants: Sequence[str], types: Sequence[str]) -> tuple[str, ...]:
    """Return the subjects that events of these tenants and types have, none covering another.

    Args:
        tenants: ids, `ten_…`; empty for all.
        types: event types, or patterns whose `*` stands at their end, after a dot; empty for all.

    Raises:
        Invalid: one is no id, or no pattern that a subject can express.
    """
    for at, tenant in enumerate(tenants):
        try:
            ids.decode("ten", tenant)
        except NotAnId as error:
            raise _invalid(f"/tenants/{at}", f"{tenant} is not the id of a tenant.") from error
    endings = [_ending(at, pattern) for at, pattern in enumerate(types)] or [">"]
    # All types need no token for the source: `events.ten_….>` is what consumers write themselves.
    found = {
        f"events.{tenant}.>" if ending == ">" else f"events.{tenant}.*.{ending}"
        for tenant in (tenants or ("*",))
        for ending in endings
    }
    return tuple(sorted(one for one in found if not any(_covers(two, one) for two in found)))


def rights(user: ConsumerUser) -> tuple[list[str], list[str]]:
    """Return what a user may publish, and what it may subscribe to, in its own account."""
    both = (user.name, subjects.oldest_of(user.name))
    publish = [f"{API}.CONSUMER.INFO.{subjects.EVENTS_STREAM}.{name}" for name in both]
    publish += [f"{API}.CONSUMER.MSG.NEXT.{subjects.EVENTS_STREAM}.{name}" for name in both]
    publish.append(f"$JS.ACK.{subjects.EVENTS_STREAM}.{user.name}.>")
    return publish, ["_INBOX.>", *(user.subjects if user.live else ())]


def exports(users: Sequence[ConsumerUser]) -> str:
    """Return the lines of Crossdock's own account that let these users in."""
    return "\n".join(line for user in users for line in _exports(user))


def account(user: ConsumerUser, *, ours: str = OURS) -> str:
    """Return the account of a user, as an entry of the server's `accounts`.

    Args:
        user: whose.
        ours: the name of the account that Crossdock itself uses.
    """
    publish, subscribe = rights(user)
    who = (
        f'nkey: "{user.nkey}"'
        if user.nkey
        else f'user: "{user.name}", password: "{user.password_hash}"'
    )
    imports = "\n".join(f"      {line}" for line in _imports(user, ours))
    return f"""\
  "{_account(user)}": {{
    users: [ {{ {who}, permissions: {{
      publish: {{ allow: {_list(publish)} }}
      subscribe: {{ allow: {_list(subscribe)} }}
    }} }} ]
    imports: [
{imports}
    ]
  }}"""


def _exports(user: ConsumerUser) -> list[str]:
    only = f'accounts: ["{_account(user)}"]'
    lines = []
    for subject, _, streams in _services(user):
        kind = " response_type: stream," if streams else ""
        lines.append(f'    {{ service: "{subject}",{kind} {only} }}')
    if user.live:
        lines += [f'    {{ stream: "{subject}", {only} }}' for subject in user.subjects]
    return lines


def _imports(user: ConsumerUser, ours: str) -> list[str]:
    lines = []
    for subject, local, _ in _services(user):
        to = f', to: "{local}"' if local != subject else ""
        lines.append(f'{{ service: {{ account: {ours}, subject: "{subject}" }}{to} }}')
    if user.live:
        lines += [
            f'{{ stream: {{ account: {ours}, subject: "{subject}" }} }}'
            for subject in user.subjects
        ]
    return lines


def _services(user: ConsumerUser) -> list[tuple[str, str, bool]]:
    """Return each service's subject at Crossdock's, at the user's, and if it answers many times."""
    found = []
    for local in rights(user)[0]:
        there = local.replace(API, "$JS.API", 1)
        found.append((there, local, "MSG.NEXT" in local))
    return found


def _account(user: ConsumerUser) -> str:
    return f"CONSUMER_{user.name}"


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


def _ending(at: int, pattern: str) -> str:
    """Return the tokens of a subject that stand for a pattern of event types."""
    if pattern == "*":
        return ">"
    literal = pattern.removesuffix(".*")
    if not _LITERAL.fullmatch(literal) or "*" in literal:
        raise _invalid(
            f"/types/{at}",
            f"{pattern!r} is no event type of visible ASCII characters whose `*`, if any, stands at"
            " the end, after a dot: subjects can't express more.",
        )
    tokens = subjects.event_type_tokens(literal)
    return tokens if literal == pattern else f"{tokens}.>"


def _covers(wide: str, narrow: str) -> bool:
    """Tell whether every subject of one pattern is another's, and the two differ."""
    if wide == narrow:
        return False
    ours, theirs = wide.split("."), narrow.split(".")
    if ours[-1] == ">":
        ours.pop()
        theirs = theirs[: len(ours)] if len(theirs) > len(ours) else []
    pairs = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) and all(one in {"*", other} for one, other in pairs)


def _crc16(data: bytes) -> int:
    """Return the checksum of an nkey: CRC-16/XMODEM."""
    return binascii.crc_hqx(data, 0)


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(None, Violation(pointer, detail))
