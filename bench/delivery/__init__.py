"""Deliveries a second of one worker, beside a bare loop of the same HTTP client."""
