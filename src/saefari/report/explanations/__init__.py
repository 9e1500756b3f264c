"""Report on the explanations of latents: tables, figures and text."""
