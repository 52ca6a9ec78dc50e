"""Acting on processes: every action asks, names and goes through a pidfd."""
