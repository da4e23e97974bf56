"""The one history of the schema. `crossdock migrate` runs it; it needs no file beside itself."""
