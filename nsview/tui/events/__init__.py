"""What happens to processes, as a log."""
