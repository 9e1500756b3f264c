"""The report on image latents: top images, contact sheets, heat maps."""
