"""Webhooks out: destinations, deliveries and their attempts, dead letters, replay."""
