"""Findings: traits of a run's elites, compared with chance and with the paper."""
