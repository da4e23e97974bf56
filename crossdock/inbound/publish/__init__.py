"""Events that a tenant publishes itself, so that it sends webhooks to customers of its own.

They go the way of any webhook, from the broker's word on: what is answered with an id is stored.
They come through the tenant's own source, of the scheme `api`, and what holds for a source holds
for them: its limits, its seal, its indexes, its pause, the schemas of their types.
"""
