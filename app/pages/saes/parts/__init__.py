"""Components of the page SAEs."""
