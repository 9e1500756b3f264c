"""What the pages Latent and Latents are built from."""
