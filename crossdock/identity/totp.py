"""Codes of a second factor: TOTP (RFC 6238), and recovery codes for when the telephone is lost."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import Final
from uuid import UUID

import pyotp

from crossdock.errors import Unauthenticated
from crossdock.secrets.seal import Sealer

STEP_S: Final = 30
DIGITS: Final = 6
DRIFT_STEPS: Final = 1
"""How many steps a telephone's clock may be off, either way."""

SEED_CHARACTERS: Final = 32
"""160 bits in base32, as RFC 4226 §4 has it."""

RECOVERY_CODES: Final = 10
_RECOVERY_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_RECOVERY_CHARACTERS: Final = 16
_GROUP: Final = 4

_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)


def new_seed() -> str:
    """Return a new seed, in base32 as people type it into an application."""
    return pyotp.random_base32(SEED_CHARACTERS)


def uri(seed: str, *, account: str, issuer: str = "Crossdock") -> str:
    """Return what a QR code of a seed says; `account` is for people to tell it apart."""
    return pyotp.TOTP(seed, digits=DIGITS, interval=STEP_S).provisioning_uri(
        name=account, issuer_name=issuer
    )


def seal(sealer: Sealer, seed: str, *, tenant_id: UUID, user_id: UUID) -> bytes:
    """Return a seed sealed for one user's row."""
    return sealer.seal(seed.encode("ascii"), context=_context(tenant_id, user_id))


def unseal(sealer: Sealer, sealed: bytes, *, tenant_id: UUID, user_id: UUID) -> str:
    """Return a user's seed.

    Raises:
        SealBroken: it is another user's, or damaged.
    """
    return sealer.open(sealed, context=_context(tenant_id, user_id)).decode("ascii")


def verify(seed: str, code: str, *, now: float, last_step: int | None) -> int:
    """Return the step that a code is of; it is to be stored, for each step counts once.

    Args:
        seed: in base32.
        code: as it was typed; blanks in it do not matter.
        now: unix seconds.
        last_step: the last step that was used; that one and all before it are refused.

    Raises:
        Unauthenticated: the code is wrong, too old, too early or used.
    """
    typed = re.sub(r"\s", "", code) if len(code) <= 4 * DIGITS else ""
    if _CODE.fullmatch(typed) is None:
        raise Unauthenticated("That code is not right.")
    totp = pyotp.TOTP(seed, digits=DIGITS, interval=STEP_S)
    this_step = int(now // STEP_S)
    found: int | None = None
    for step in range(this_step - DRIFT_STEPS, this_step + DRIFT_STEPS + 1):
        # All are compared, and each in constant time: how long it takes tells nothing.
        right = secrets.compare_digest(totp.generate_otp(step), typed)
        if right and (last_step is None or step > last_step) and found is None:
            found = step
    if found is None:
        raise Unauthenticated("That code is not right.")
    return found


def new_recovery_codes() -> tuple[str, ...]:
    """Return ten codes for people to keep on paper, each of 78 random bits, shown this once."""
    return tuple(_recovery_code() for _ in range(RECOVERY_CODES))


def recovery_hash(code: str, *, user_id: UUID) -> bytes:
    """Return what is stored of a recovery code, however it was typed.

    Its 78 random bits need no slow hash; with the user's id in it, a table of hashes is of no use
    against two of them.
    """
    plain = "".join(c for c in code[:64].upper() if c.isalnum())
    return hashlib.sha256(user_id.bytes + plain.encode("utf-8", "surrogatepass")).digest()


def recovery_hashes(codes: Iterable[str], *, user_id: UUID) -> list[bytes]:
    """Return what is stored of several."""
    return [recovery_hash(code, user_id=user_id) for code in codes]


def looks_like_totp(code: str) -> bool:
    """Tell whether what was typed is a code of six digits, rather than a recovery code."""
    return _CODE.fullmatch(re.sub(r"\s", "", code[: 4 * DIGITS])) is not None


def _recovery_code() -> str:
    drawn = [secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_CHARACTERS)]
    groups = ("".join(drawn[at : at + _GROUP]) for at in range(0, _RECOVERY_CHARACTERS, _GROUP))
    return "-".join(groups)


def _context(tenant_id: UUID, user_id: UUID) -> bytes:
    return b"user.totp:" + tenant_id.bytes + user_id.bytes
