"""Data of the page Samples."""
