"""Language models that answer requests: an OpenAI-compatible endpoint, a local model, vLLM."""
