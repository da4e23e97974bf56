"""What one ingest costs: rates and CPU of the gateway against no work and against the plain way."""
