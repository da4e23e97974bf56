"""Support access: an operator looks into a tenant, for a reason, for a time, seen by its people."""
