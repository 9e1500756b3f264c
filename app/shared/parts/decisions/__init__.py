"""Why a classifier predicted a class: contributions and the path through a tree."""
