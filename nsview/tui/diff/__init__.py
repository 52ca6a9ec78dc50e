"""How two processes differ."""
