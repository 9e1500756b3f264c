"""Data of the page SAEs."""
