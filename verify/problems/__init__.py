"""Problems with exact answers: Gaussian mixtures, noise schedules, grids, exact paths."""
