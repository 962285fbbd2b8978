"""Faults made on purpose, in real processes: `make faults` tries them all and prints what was lost.

points     where: named instructions of a search, found without a hook in what is tested
process    the search that is to be hit, in a process of its own
outcome    what must be the same afterwards
cases      each fault: how it is made, what must come of it
several    the same, of searches that are several processes: workers, torchrun
__main__   runs the cases, prints the table
"""
