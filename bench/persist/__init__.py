"""What persisting costs: a batch of many tenants, against a bare COPY of the same event rows."""
