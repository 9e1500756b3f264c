"""Data of the page Run."""
