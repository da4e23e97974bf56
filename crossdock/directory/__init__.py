"""What a gateway knows without asking anybody: sources, tenants, and what was revoked."""

from crossdock.directory.memory import Memory
from crossdock.directory.service import Directory

__all__ = ["Directory", "Memory"]
