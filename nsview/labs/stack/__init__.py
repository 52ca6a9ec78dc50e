"""The lab on the stack that a child runs on, and on the function that it runs."""
