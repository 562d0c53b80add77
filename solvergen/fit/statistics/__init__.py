"""DPM-Solver-v3: statistics of a model along its levels, and the sampler that integrates with them."""
