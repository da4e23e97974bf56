"""Event types: the schemas that payloads are held to, their versions, what comes of a breach."""
