"""The namespace inspector."""
