"""Tenants' own roles: permissions under a name, which may build on other roles."""
