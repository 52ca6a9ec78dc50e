"""Terminals of launched programs."""
