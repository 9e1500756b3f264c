"""Components of the page Health."""
