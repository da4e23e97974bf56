"""How long things are kept, and the report of what went."""
