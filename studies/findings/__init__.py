"""Findings: what a run's elites have in common, beside chance and the paper."""
