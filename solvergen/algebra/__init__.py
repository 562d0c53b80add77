"""Exact arithmetic: power series, residues, fixed point, surds, rational functions. No order theory."""
