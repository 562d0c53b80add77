"""The expansions behind every order: words, grids, symbols, the recursion, local errors."""
