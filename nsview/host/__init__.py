"""What the machine looks like now: snapshots of raw facts, and models made from them."""
