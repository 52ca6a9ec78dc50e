"""The lab of what a child shares with its parent, flag by flag, before and after execve."""
