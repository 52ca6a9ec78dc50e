"""What a plan is made of: each module drafts the steps of one part of a launch, checks its input, and knows its errors.

``spawner.sections`` has the order in which the child goes through them.
"""
