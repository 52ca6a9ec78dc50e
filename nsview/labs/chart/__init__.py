"""A Measurement as a picture: for a terminal (text.py) and for a page (svg.py), on the same scales (scale.py)."""
