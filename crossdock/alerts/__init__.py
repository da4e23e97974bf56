"""What a tenant should know without looking: raised once, listed, and told by mail."""
