"""Components of the page Latent."""
