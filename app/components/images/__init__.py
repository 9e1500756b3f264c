"""What shows an image: heat maps over its patches, thumbnails in tables, and the choice of one to be tried."""
