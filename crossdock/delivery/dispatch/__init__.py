"""The dispatcher: claims what is due, attempts it under caps, records what came of it."""
