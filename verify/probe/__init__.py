"""Probes: what a running sampler reveals of its weights, its draws and its state."""
