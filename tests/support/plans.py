"""A small plan as text, to edit."""

from __future__ import annotations

MINIMAL = """
[net]
image = 8
channels = 1
patch = 2
classes = 10
d = 48
M = 2
N = 3
[stage1]
d_k = 48
K = 17
trials = 4
population = 2
training = { epochs = 1 }
[stage2]
d_k = [24, 48]
d_z = [2, 4]
E = [1, 2]
K = [9, 17]
trials = 4
population = 2
training = { epochs = 2 }
[retrain]
training = { epochs = 3 }
"""


def edited(old: str, new: str) -> str:
    assert MINIMAL.count(old) == 1, f"{old!r} is in the text {MINIMAL.count(old)} times"
    return MINIMAL.replace(old, new)
