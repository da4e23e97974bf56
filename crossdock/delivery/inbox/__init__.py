"""What came to destinations that only show it."""
