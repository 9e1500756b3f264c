"""Where latents are active, indexed by latent."""
