"""Stage 1: texts in, shards of hidden states and codes out."""
