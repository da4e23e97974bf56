"""What an idempotency key costs."""
