"""What a launch did, step by step."""
