"""Data of the page Health."""
