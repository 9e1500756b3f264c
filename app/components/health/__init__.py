"""What the page Health is built from."""
