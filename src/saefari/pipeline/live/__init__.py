"""Live prediction for a new text or image, with the stored model, SAE and classifier."""
