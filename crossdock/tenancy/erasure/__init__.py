"""The end of a tenant: its data goes, table by table, and a tombstone stays."""

from crossdock.tenancy.erasure.service import Eraser

__all__ = ["Eraser"]
