"""What people do: they sign up, invite, change what is theirs; and operators look after tenants."""

from typing import Any, Final

import pyotp

from bench.api.caller import Caller, fresh, somewhere
from bench.api.flows import Flow

PASSWORD: Final = "a password for the bench"
OTHER: Final = "another one for the bench"


def household(user: Caller) -> None:
    """Sign up, live in the new tenant, and leave."""
    home = somewhere()
    email = f"{fresh('u')}@example.com"
    wish = {"email": email, "password": PASSWORD, "name": "Ann", "tenant_name": fresh("Acme")}
    user.call("sign_up", body=wish, address=home)
    token, letters = user.letter(email)
    made = user.call("verify_signup", body={"token": token}, address=home)
    who = {"email": email, "password": PASSWORD}
    pair = user.call("login", body=who, address=home)
    owner = pair["access_token"]
    user.call("list_sessions", token=owner)
    _colleague(user, owner, home)
    _support(user, owner, made["tenant"]["id"])
    changed = {"current_password": PASSWORD, "new_password": OTHER}
    pair = user.call("change_password", body=changed, token=owner)
    owner = pair["access_token"]
    _factor(user, owner)
    pair = user.call("refresh", body={"refresh_token": pair["refresh_token"]}, address=home)
    user.call("request_password_reset", body={"email": email}, address=home)
    token, _ = user.letter(email, after=letters)
    wish = {"token": token, "new_password": PASSWORD}
    user.call("confirm_password_reset", body=wish, address=home)
    first = user.call("login", body=who, address=home)
    second = user.call("login", body=who, address=home)
    user.call("end_session", first["session_id"], token=second["access_token"])
    user.call("logout", token=second["access_token"])


def _colleague(user: Caller, owner: str, home: str) -> None:
    address = f"{fresh('c')}@example.com"
    wish = {"email": address, "roles": ["viewer"]}
    user.call("create_invitation", body=wish, token=owner)
    user.call("list_invitations", token=owner)
    unwanted = {"email": f"{fresh('x')}@example.com", "roles": ["viewer"]}
    other = user.call("create_invitation", body=unwanted, token=owner)["id"]
    user.call("get_invitation", other, token=owner)
    user.call("revoke_invitation", other, token=owner)
    token, _ = user.letter(address)
    body = {"token": token, "name": "Bob", "password": PASSWORD}
    bob = user.call("accept_invitation", body=body, address=home)["user"]["id"]
    user.call("get_user", bob, token=owner)
    user.call("patch_user", bob, body={"name": "Robert"}, token=owner)
    user.call("list_user_sessions", bob, token=owner)
    user.call("end_user_sessions", bob, token=owner)
    user.call("remove_user", bob, token=owner)


def _support(user: Caller, owner: str, tenant: str) -> None:
    operator = user.plan.operator
    wish = {"reason": "The bench looks in.", "minutes": 5}
    opened = user.call("open_support", tenant, body=wish, token=operator)["support_id"]
    user.call("renew_support", tenant, opened, token=operator)
    user.call("end_support", tenant, opened, token=operator)
    opened = user.call("open_support", tenant, body=wish, token=operator)["support_id"]
    user.call("list_support_accesses", token=owner)
    user.call("get_support_access", opened, token=owner)
    user.call("end_support_access", opened, token=owner)


def _factor(user: Caller, owner: str) -> None:
    made = user.call("set_up_second_factor", body={"password": OTHER}, token=owner)
    body = {"code": pyotp.TOTP(made["secret"]).now()}
    codes = user.call("confirm_second_factor", body=body, token=owner)["recovery_codes"]
    shown = {"password": OTHER, "code": codes[0]}
    codes = user.call("renew_recovery_codes", body=shown, token=owner)["recovery_codes"]
    shown = {"password": OTHER, "code": codes[0]}
    user.call("disable_second_factor", body=shown, token=owner)


def estate(user: Caller) -> None:
    """Look after the tenants, as an operator."""
    operator = user.plan.operator
    user.call("list_all_tenants", token=operator)
    user.call("list_shards", token=operator)
    made: Any = user.call("create_tenant", body={"name": fresh("Tenant")}, token=operator)
    tenant = made["id"]
    user.call("get_any_tenant", tenant, token=operator)
    user.call("get_any_tenant_usage", tenant, token=operator)
    user.call("patch_tenant_quota", tenant, body={"plan": "business"}, token=operator)
    why = {"reason": "of the bench"}
    user.call("suspend_tenant", tenant, body=why, token=operator)
    user.call("resume_tenant", tenant, body={}, token=operator)
    user.call("terminate_tenant", tenant, body=why | {"grace_days": 1}, token=operator)


FLOWS: Final[dict[Flow, int]] = {household: 1, estate: 2}
