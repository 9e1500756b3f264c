"""What the page Samples is built from."""
