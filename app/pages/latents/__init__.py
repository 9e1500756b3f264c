"""The page Latents."""
