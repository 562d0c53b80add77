"""Exact weights: moments in a coordinate, Lagrange and Hermite expansions against them, explicit ones."""
