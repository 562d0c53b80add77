"""Orders of samplers without noise, from their recovered weights: audit, causes, claims."""
