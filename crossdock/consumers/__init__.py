"""Internal consumers: who may read EVENTS, and how much of it."""
