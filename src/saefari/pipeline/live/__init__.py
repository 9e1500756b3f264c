"""Live prediction for a new text or image with the model, SAE and classifier of a stored result."""
