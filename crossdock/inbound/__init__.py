"""Webhooks in: sources, and the events they bring."""
