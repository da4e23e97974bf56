"""Replay in bulk: a job that walks finished deliveries and makes those that match again."""
