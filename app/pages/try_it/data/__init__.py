"""Data of the page Try it."""
