"""The lab on the first process of a pid namespace."""
