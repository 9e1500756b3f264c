"""What the page Compare is built from."""
