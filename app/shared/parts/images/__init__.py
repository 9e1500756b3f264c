"""Images with heat maps."""
