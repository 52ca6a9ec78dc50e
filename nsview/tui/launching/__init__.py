"""The launch panel, and the thread that launches, steps and waits."""
