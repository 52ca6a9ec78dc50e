"""Looking at the machine in threads of its own, beside the UI."""
