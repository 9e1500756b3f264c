"""Stage 3: explain latents automatically, and score the explanations."""
