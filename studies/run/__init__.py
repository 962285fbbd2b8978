"""A run's folder: every file of it, its studies, its networks, how far it is."""
