"""Signing up: from a form that anybody may send to a tenant whose owner's address is proven."""

from crossdock.tenancy.signup.founding import Founder
from crossdock.tenancy.signup.service import Signups

__all__ = ["Founder", "Signups"]
