"""What happens to processes, as the kernel tells it: births, new programs, new names and ids, ends."""
