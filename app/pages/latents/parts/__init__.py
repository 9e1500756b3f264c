"""Components of the page Latents."""
