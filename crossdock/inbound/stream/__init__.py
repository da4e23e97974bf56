"""Events as they come, for those who listen: live from the broker, what was missed from PostgreSQL.

A tenant's listeners in one process share one subscription (`channel`). What that hears is stored
already, for events are announced after they are persisted; so whatever is missed, by a listener
that was away or by a connection that was lost, is read (`reader`). Events may come twice, and never
not at all.
"""
