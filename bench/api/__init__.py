"""Every endpoint of the API under load, its statements, and what problems and validation cost."""
