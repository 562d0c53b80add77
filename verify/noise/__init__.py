"""Orders of samplers that draw noise: weak, strong, and what holds them down."""
