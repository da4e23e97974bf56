"""Events: what came in, found, shown and judged."""
