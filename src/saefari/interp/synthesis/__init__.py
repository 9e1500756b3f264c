"""Images that activate one latent, made by gradient ascent."""
