"""What isolation and identity cost."""
