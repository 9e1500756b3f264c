"""Components of the page Run."""
