"""The page SAEs."""
