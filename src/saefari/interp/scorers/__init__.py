"""Scorers: how well an explanation predicts where its latent is active."""
