"""What is inside a namespace, worded: for a person as sections of tables, for a program as an object."""
