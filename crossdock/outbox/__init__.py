"""Changes that must be seen elsewhere, written in the transaction that makes them."""
