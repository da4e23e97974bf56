"""`/v1/auth/totp`: the second factor of one's own account."""

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import RequestBody

from crossdock.identity.factor.service import SecondFactor
from gateway.controllers.auth import Code, Password
from gateway.declarations import Apart, Atomic
from gateway.request import ApiRequest


class FactorIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The password, once more."""

    password: Password


class FactorOut(msgspec.Struct, frozen=True, kw_only=True):
    """A seed for an authenticator; it is shown this once."""

    secret: str
    """In base32, for those who type it."""
    uri: str
    """`otpauth://…`, for a QR code."""


class CodeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A code of the authenticator."""

    code: Code


class FactorChangeIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The password once more, and a code of the authenticator or for recovery."""

    password: Password
    code: Code


class RecoveryCodesOut(msgspec.Struct, frozen=True, kw_only=True):
    """Codes for when the authenticator is lost, each good once; shown this once."""

    recovery_codes: list[str]


class SecondFactorController(Controller):
    """The second factor."""

    path = "/v1/auth/totp"
    tags = ("Auth",)

    @post("/", user=True, status_code=200, idempotency=Apart(secret=True))
    async def set_up_second_factor(
        self,
        request: ApiRequest,
        second_factor: NamedDependency[SecondFactor],
        data: RequestBody[FactorIn],
    ) -> FactorOut:
        """Get a seed; it counts once a code of it was confirmed."""
        found = await second_factor.set_up(
            request.auth, password=data.password, origin=request.origin
        )
        return FactorOut(secret=found.secret, uri=found.uri)

    @post("/confirm", user=True, status_code=200, idempotency=Atomic(secret=True))
    async def confirm_second_factor(
        self,
        request: ApiRequest,
        second_factor: NamedDependency[SecondFactor],
        data: RequestBody[CodeIn],
    ) -> RecoveryCodesOut:
        """Have the second factor asked for from now on."""
        codes = await second_factor.confirm(request.auth, code=data.code, origin=request.origin)
        return RecoveryCodesOut(recovery_codes=list(codes))

    @post("/disable", user=True, status_code=204, idempotency=Apart())
    async def disable_second_factor(
        self,
        request: ApiRequest,
        second_factor: NamedDependency[SecondFactor],
        data: RequestBody[FactorChangeIn],
    ) -> None:
        """Do without a second factor again."""
        await second_factor.disable(
            request.auth, password=data.password, code=data.code, origin=request.origin
        )

    @post("/recovery-codes", user=True, status_code=200, idempotency=Apart(secret=True))
    async def renew_recovery_codes(
        self,
        request: ApiRequest,
        second_factor: NamedDependency[SecondFactor],
        data: RequestBody[FactorChangeIn],
    ) -> RecoveryCodesOut:
        """Get other recovery codes; those of before are worth nothing."""
        codes = await second_factor.renew_recovery_codes(
            request.auth, password=data.password, code=data.code, origin=request.origin
        )
        return RecoveryCodesOut(recovery_codes=list(codes))
