"""Trials in Optuna's storage: records, tables, databases, the queue of workers."""
