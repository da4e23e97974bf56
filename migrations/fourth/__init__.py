"""Revision 0004: event types, what becomes of events, sealed payloads, refusals, retention."""
