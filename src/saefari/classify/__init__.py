"""Stage 2: classifiers on SAE features, hidden states and baselines."""
