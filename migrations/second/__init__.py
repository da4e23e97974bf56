"""Revision 0002: people, their rights, plans, shards."""
