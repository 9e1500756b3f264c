"""Commands, plans and their execution: configuration -> plan -> jobs -> stored results."""
