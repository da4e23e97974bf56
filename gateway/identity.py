"""What a gateway process has open so that people can sign in, and the services that stand on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, NoReturn

import msgspec

from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.endless import together
from crossdock.identity.afterwards import Afterwards
from crossdock.identity.credentials.change import PasswordChange
from crossdock.identity.credentials.proof import Proof
from crossdock.identity.credentials.resets import PasswordResets
from crossdock.identity.factor.check import CodeCheck
from crossdock.identity.factor.service import SecondFactor
from crossdock.identity.hashing import PasswordHasher
from crossdock.identity.keys.service import SigningKeys
from crossdock.identity.limits import Limits
from crossdock.identity.login.service import Login
from crossdock.identity.myself import Myself
from crossdock.identity.passwords import PasswordPolicy
from crossdock.identity.refresh import Successors
from crossdock.identity.sessions.pairs import Pairs
from crossdock.identity.sessions.renewal import Renewals
from crossdock.identity.sessions.service import Sessions
from crossdock.identity.throttle import Throttle
from crossdock.identity.tokens import Issuer, Verifier
from crossdock.identity.verification import Memory, TokenVerifier
from crossdock.mail.service import Postbox
from crossdock.secrets.seal import Sealer

DRAIN_S: Final = 5.0
"""How long letters under way may take at the end."""


class Identity(msgspec.Struct, frozen=True):
    """One of each, shared by all that a process does."""

    hasher: PasswordHasher
    policy: PasswordPolicy
    signing_keys: SigningKeys
    issuer: Issuer
    tokens: TokenVerifier
    memory: Memory
    """What this process knows of tenants and revocations."""
    throttle: Throttle
    postbox: Postbox
    sealer: Sealer
    """With the key `keys.identity`."""
    successors: Successors
    afterwards: Afterwards

    async def run(self) -> NoReturn:
        """Keep the signing keys current, and sweep what limits nothing any more."""
        await together(self.signing_keys.run(), self.throttle.run())


@asynccontextmanager
async def opened(
    settings: Settings, database: Databases, memory: Memory
) -> AsyncIterator[Identity]:
    """Open what identity needs; at the end finish what is under way.

    Raises:
        ConfigurationError: a key or a list of passwords is missing or malformed.
    """
    setting = "CROSSDOCK_KEYS__IDENTITY"
    sealer = Sealer.from_text(settings.keys.identity, setting=setting)
    public_url, environment = settings.gateway.public_url.rstrip("/"), settings.environment
    signing_keys = SigningKeys(database, sealer)
    verifier = Verifier(signing_keys, public_url=public_url, environment=environment)
    async with AsyncExitStack() as stack:
        hasher = PasswordHasher.from_settings(settings.identity)
        stack.push_async_callback(hasher.close)
        afterwards = Afterwards()
        stack.push_async_callback(_drain, afterwards)
        yield Identity(
            hasher=hasher,
            policy=PasswordPolicy(settings.identity.breached_passwords),
            signing_keys=signing_keys,
            issuer=Issuer(signing_keys, public_url=public_url, environment=environment),
            tokens=TokenVerifier(database, memory, verifier, signing_keys),
            memory=memory,
            throttle=Throttle(database),
            postbox=Postbox(Sealer.from_text(settings.keys.mail, setting="CROSSDOCK_KEYS__MAIL")),
            sealer=sealer,
            successors=Successors.from_text(settings.keys.identity, setting=setting),
            afterwards=afterwards,
        )


def services(settings: Settings, database: Databases, identity: Identity) -> dict[str, Any]:
    """Return identity's services by the names under which controllers ask for them."""
    environment = settings.environment
    hasher, postbox = identity.hasher, identity.postbox
    limits = Limits(identity.throttle)
    proof = Proof(database, hasher, limits)
    pairs = Pairs(identity.issuer, identity.successors, settings.identity, environment=environment)
    return {
        "login": Login(database, hasher, pairs, CodeCheck(identity.sealer), limits),
        "myself": Myself(database),
        "password_change": PasswordChange(
            database,
            proof=proof,
            hasher=hasher,
            policy=identity.policy,
            pairs=pairs,
            postbox=postbox,
        ),
        "password_resets": PasswordResets(
            database,
            hasher=hasher,
            policy=identity.policy,
            postbox=postbox,
            limits=limits,
            afterwards=identity.afterwards,
            settings=settings.identity,
            environment=environment,
            public_url=settings.gateway.public_url.rstrip("/"),
        ),
        "renewals": Renewals(database, pairs, postbox, limits, settings.identity),
        "second_factor": SecondFactor(database, proof, identity.sealer, limits, postbox),
        "sessions": Sessions(database),
        "signing_keys": identity.signing_keys,
    }


async def _drain(afterwards: Afterwards) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await afterwards.drain()
