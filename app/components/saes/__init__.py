"""What the page Run is built from."""
