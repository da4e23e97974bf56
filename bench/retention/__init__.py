"""What dropping a partition costs: those who wait for its lock, while ingest goes on."""
