"""Check a configuration and turn it into a plan."""
