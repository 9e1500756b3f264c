"""Windows around activations, and the samplers that choose them."""
