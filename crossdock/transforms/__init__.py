"""Transformations: tenants' scripts that make of an event what is sent instead of it."""
