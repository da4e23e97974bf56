"""What people signed in with, and no longer can: removed once it is of no use to anybody."""

from crossdock.identity.forgetting.service import forget_in_control, forget_on_shard

__all__ = ["forget_in_control", "forget_on_shard"]
