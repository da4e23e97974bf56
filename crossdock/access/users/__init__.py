"""A tenant's people: listed, changed in name, roles and state, and removed."""
