"""Problems to fit on: exact mixtures, small trained networks, and anybody's model by name."""
