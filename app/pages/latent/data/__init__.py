"""Data of the page Latent."""
