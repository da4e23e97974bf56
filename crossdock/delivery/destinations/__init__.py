"""Where events are delivered to: what their owner says of a destination, and how it is kept."""
