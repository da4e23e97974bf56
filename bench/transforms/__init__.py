"""Transformations against sending the event as it came."""
