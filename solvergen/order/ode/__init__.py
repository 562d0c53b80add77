"""Orders of solvers without noise: local and global errors, start and end, stability."""
