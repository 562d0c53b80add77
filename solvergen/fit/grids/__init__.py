"""Grids found on a problem: by the published methods, and by two of our own."""
