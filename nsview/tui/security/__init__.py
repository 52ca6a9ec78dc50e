"""What a process may still do."""
