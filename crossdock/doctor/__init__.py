"""Examines a deployment: what is as it should be, what is not, and how to mend it."""
