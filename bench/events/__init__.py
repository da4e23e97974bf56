"""Lists of events at ten million of them, and ingest while a thousand listen."""
