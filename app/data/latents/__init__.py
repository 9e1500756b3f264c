"""What codes, results and explanations say of latents."""
