"""A replay of a hundred thousand events, and the memory of the worker that carries it out."""
