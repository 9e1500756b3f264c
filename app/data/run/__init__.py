"""What the page Run shows of one result."""
