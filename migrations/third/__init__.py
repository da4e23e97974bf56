"""Revision 0003: answers kept for repeated requests, and limits of sources and keys."""
