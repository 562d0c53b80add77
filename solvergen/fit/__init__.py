"""Fitting: solvers whose numbers are found on a problem. This room needs torch, scipy, safetensors."""
