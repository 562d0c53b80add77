"""Orders of solvers with noise, on Gaussian targets."""
