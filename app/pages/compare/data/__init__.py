"""Data of the page Compare."""
