"""Tenants: their making and their states."""
