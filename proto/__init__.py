"""The wire: what Crossdock's processes, and their internal consumers, say to each other on NATS."""
