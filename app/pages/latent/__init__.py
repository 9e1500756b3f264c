"""The page Latent."""
