"""The synthetic sample that comes with the project, and the generator of larger ones."""
