"""Trials in Optuna's storage: records, fronts, tables, databases, the queue of workers."""
