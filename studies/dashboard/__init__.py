"""A run in optuna-dashboard: what its studies carry for it, and serving it."""
