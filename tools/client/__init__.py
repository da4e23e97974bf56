"""Writes the typed client's models and methods from the API's document."""
