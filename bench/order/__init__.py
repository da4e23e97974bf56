"""Delivery in order by key against delivery in none."""
