"""Shards: the databases that tenants live on, and which tenant lives where."""
