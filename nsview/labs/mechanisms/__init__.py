"""The lab of the ways to make a child: what each copies, what it costs, and when the parent's size counts."""
