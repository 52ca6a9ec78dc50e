"""nsview beside its peers on this machine: each figure of the design measured with all that is installed, in turns.

A row (table.py) prepares its contestants, and each shows once that it does what it is said to do; then they take turns
(contest.py) and what was seen is held against the figure to reach (outcome.py).
"""
