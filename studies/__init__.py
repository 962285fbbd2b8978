"""The studies of a search: storage, proposing generations, scoring them. Knows Optuna."""
