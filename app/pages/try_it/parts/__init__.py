"""Components of the page Try it."""
