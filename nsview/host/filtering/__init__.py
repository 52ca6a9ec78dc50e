"""The rooms behind :mod:`nsview.host.filter`: what a filter says, and what it means over rows."""
