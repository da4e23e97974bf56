"""Native calls against their Python counterparts."""
