"""Delivery in order by key: who may go next, and when an event may join its line."""
