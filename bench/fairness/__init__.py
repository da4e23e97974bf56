"""Whether anybody's load is anybody else's trouble."""
