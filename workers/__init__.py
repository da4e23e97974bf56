"""NATS in: the worker program, its roles and its own small port."""
