"""Dataset rows, their predictions, and the reasons for them."""
