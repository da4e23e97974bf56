"""Sessions: begun, gone on with, listed and ended."""
