"""The frontier: every solver on every grid at equal evaluations, on the same problems, on one page."""
