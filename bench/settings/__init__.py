"""How current the gateways' settings are, by which kind of watch, and what they cost."""
