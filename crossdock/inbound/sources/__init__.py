"""Sources: the doors of senders, how their webhooks are checked, and what they keep secret."""
