"""Believable webhooks of every scheme, and a sender that does as a provider would."""
