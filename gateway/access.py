"""The services of those who look after people, their rights and their keys."""

from typing import Any

from crossdock.access.invitations.acceptance import Acceptance
from crossdock.access.invitations.service import Invitations
from crossdock.access.roles.service import Roles
from crossdock.access.service import ApiKeys
from crossdock.access.support.service import OperatorSupport, SupportAccesses
from crossdock.access.users.service import Users
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.mail.letters import Letters
from gateway.identity import Identity


def services(settings: Settings, database: Databases, identity: Identity) -> dict[str, Any]:
    """Return them by the names under which controllers ask for them."""
    environment = settings.environment
    letters = Letters(settings.gateway.public_url)
    return {
        "acceptance": Acceptance(
            database, identity.hasher, identity.policy, environment=environment
        ),
        "api_keys": ApiKeys(database, environment=environment),
        "invitations": Invitations(
            database,
            identity.postbox,
            letters,
            identity.throttle,
            environment=environment,
            ttl_s=settings.identity.invitation_ttl_s,
        ),
        "operator_support": OperatorSupport(
            database,
            identity.postbox,
            letters,
            identity.issuer,
            token_s=settings.identity.access_ttl_s,
        ),
        "roles": Roles(database),
        "support_accesses": SupportAccesses(database),
        "users": Users(database),
    }
