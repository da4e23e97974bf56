"""Who may do what: permissions and API keys."""
