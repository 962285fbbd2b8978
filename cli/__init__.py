"""The command line: words on a screen. Imports torch and optuna only inside commands."""
