"""HTTP in: the ingest fast path, the REST API and, later, the console."""
