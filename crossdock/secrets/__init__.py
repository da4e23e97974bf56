"""Secrets at rest: sealed, rotated with an overlap, never shown."""
