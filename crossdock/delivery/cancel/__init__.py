"""Deliveries called off by their owner: before they arrive, or as dead letters."""
