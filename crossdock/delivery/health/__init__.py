"""Whether a destination is called right now, and why not."""
