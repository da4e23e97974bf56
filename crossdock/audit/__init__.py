"""Who did what, and when: entries that are only ever added."""
