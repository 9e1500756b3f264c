"""Results against each other."""
