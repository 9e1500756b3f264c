"""Data of the page Overview."""
