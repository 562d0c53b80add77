"""Noise in the derivation: strengths, the draws of a step, ancestral and Langevin steps."""
