"""Small faults put into the core, one at a time, to see whether its tests notice them.

`python -m tests.mutants` makes, in a copy of the checkout, a few mutants of each file of the core
and runs the nearest tests for each. A mutant that no test notices and that `survivors.md` does not
explain is a test that is missing. mutmut and cosmic-ray were looked at: the first rewrites every
function of every file (half a million statements of torch code run through its trampolines, and
`hnas/studies` is a link that it does not follow), the second starts an interpreter a mutant, which
is seconds of `import torch` each. What is needed of them is this folder.
"""
