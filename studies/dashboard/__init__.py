"""The dashboard of a run: annotations for optuna-dashboard, and a server of it."""
