"""Components of the page Samples."""
