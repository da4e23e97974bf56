"""How often something may be tried."""

from crossdock.identity.throttle.rules import (
    LOGIN_BY_ACCOUNT,
    LOGIN_BY_ADDRESS,
    RESET_BY_ACCOUNT,
    RESET_BY_ADDRESS,
    SIGNUP_BY_ACCOUNT,
    SIGNUP_BY_ADDRESS,
    Limit,
    address_of,
    site_of,
)
from crossdock.identity.throttle.service import Throttle

__all__ = [
    "LOGIN_BY_ACCOUNT",
    "LOGIN_BY_ADDRESS",
    "RESET_BY_ACCOUNT",
    "RESET_BY_ADDRESS",
    "SIGNUP_BY_ACCOUNT",
    "SIGNUP_BY_ADDRESS",
    "Limit",
    "Throttle",
    "address_of",
    "site_of",
]
