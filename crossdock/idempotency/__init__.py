"""Requests that may be sent again: one effect, and the same answer each time."""
