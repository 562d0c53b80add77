"""Commands that make a page: the gallery, the explorer, the frontier and the tables of papers."""
