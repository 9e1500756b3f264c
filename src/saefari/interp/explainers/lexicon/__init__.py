"""Parts of the lexical explainer: words of a token sequence, background frequencies, candidates, wording."""
