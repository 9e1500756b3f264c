"""Images with heat maps, and thumbnails."""
