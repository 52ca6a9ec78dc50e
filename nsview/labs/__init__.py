"""The labs: what is said of fork and clone, as experiments that the running kernel answers.

A lab (lab.py) is a generator: it does something in throw-away processes, asks the kernel, and tells what came of it,
one event after another. Whoever runs it (running.py) may print, show or keep these events. LABS (table.py) lists all.
"""
