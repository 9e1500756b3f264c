"""Images of rows: what the model saw of them, where each position lies in them, and how they reach the browser."""
