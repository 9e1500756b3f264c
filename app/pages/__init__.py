"""The dashboard's pages: one folder per page, with the page, its parts and its data."""
