"""Measured convergence: runs on exact problems and the orders read from their errors."""
