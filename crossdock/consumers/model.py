"""What crosses the boundary of internal consumers."""

from datetime import datetime

import msgspec


class ConsumerUser(msgspec.Struct, frozen=True, kw_only=True):
    """A NATS user who reads a part of EVENTS and can do nothing else."""

    name: str
    """Its user's, its account's and its durable consumer's."""
    subjects: tuple[str, ...]
    """What it may read; none of them covers another."""
    live: bool = True
    """Whether it may also listen on core NATS, which keeps nothing for whoever is away."""
    password_hash: str = ""
    """bcrypt; empty where it signs in by an nkey."""
    nkey: str = ""
    """Its public key; empty where it signs in by a password."""
    created_at: datetime


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """A durable consumer on EVENTS, as the broker tells of it."""

    name: str
    subjects: tuple[str, ...]
    waiting: int
    """Events that it has not been handed yet."""
    unacknowledged: int
    """Events that it was handed and has not said a word about."""
