"""What was read from the kernel, in words: rows of tables for a person, objects for a program. No screen of its own.

The command line prints these tables, the UI draws them.
"""
