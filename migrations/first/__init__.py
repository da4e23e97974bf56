"""Revision 0001: tables, functions, and who may do what."""
