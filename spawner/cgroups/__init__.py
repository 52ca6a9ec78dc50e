"""Control groups: where the hierarchies are, and groups made in them for one child."""
