"""Data of the page Latents."""
