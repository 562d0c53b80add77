"""Questions asked of orders: cures, comparisons, conditions, derivations."""
