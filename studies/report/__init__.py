"""The report on a run: its answer, how sure that is, its costs, and the way to repeat it."""
