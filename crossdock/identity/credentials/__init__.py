"""Passwords: changed by who knows them, and reset by who reads the mail."""
