"""Stage 1: from texts and images to shards of hidden states and codes."""
