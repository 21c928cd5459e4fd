"""Fisher information and what it means for a measurement."""
