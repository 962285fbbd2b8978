"""Benchmarks: the measurements that the docs quote, each a command of its own.

speed/    how long it takes, how much memory it needs (`make bench`, `make gpu-bench`)
ranking/  does a supernet rank networks as training each of them would?
search/   does a search find good networks, and is it better than chance?
plans/    plans of the runs that are compared
results/  what was measured: records of commands that were run, under the names of their day
"""
